# Sourced by scripts/parity and scripts/bench: makes .venv/peers, a Python with PyTorch and
# TensorFlow (several GB, a few minutes, once), and sets `python` to it.
python="$root/.venv/peers/bin/python"
requirements="$root/bench/peers/requirements.txt"
stamp="$root/.venv/peers/requirements.txt"

if ! cmp -s "$requirements" "$stamp"; then
  echo "installing the peers into .venv/peers" >&2
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python's venv module is missing: run scripts/setup, or install python3-venv" >&2
    exit 1
  fi
  [ -x "$python" ] || python3 -m venv "$root/.venv/peers"
  "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
  cp "$requirements" "$stamp"
fi
