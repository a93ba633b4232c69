#!/usr/bin/env bash
# kill -9 at ten random moments, resume after each: the final checkpoint must have the bytes of the
# uninterrupted run's. Usage: kill.sh VANE PRESETS LOADER_THREADS auto|direct
set -euo pipefail
vane=$1 presets=$2 threads=$3 convolution=$4
work=$(mktemp -d /tmp/vane-kill-XXXXXX)
trap 'rm -rf "$work"' EXIT
RANDOM=$((threads * 7 + 1)) # the same moments, as far as time repeats

steps=300
whole=$work/whole killed=$work/killed
first=checkpoints/step-00000000.safetensors
last=checkpoints/last.safetensors
final=checkpoints/step-$(printf %08d $steps).safetensors

began=$(date +%s%N)
"$vane" train "$presets/scenes.yaml" --out "$whole" --set train.steps=$steps --set train.keep=1000 \
  --set train.save_every=7 --set train.eval_every=31 --set train.log_every=5 --set train.batch=32 \
  --set data.test.count=64 --set data.train.count=1000 --set "data.threads=$threads" \
  --set "device.convolution=$convolution" --set 'data.augment={rotate: 20, flip: true, shift: 2}' \
  >/dev/null 2>"$work/log" || { cat "$work/log"; exit 1; }
whole_ms=$((($(date +%s%N) - began) / 1000000))

# Algorithms that were chosen by measurement are part of every checkpoint: both runs begin with the
# same first one.
mkdir -p "$killed/checkpoints"
cp "$whole/config.yaml" "$killed/"
cp "$whole/$first" "$killed/$first"
ln "$killed/$first" "$killed/$last"
touch "$killed/metrics.jsonl"

kills=0
while [ "$kills" -lt 10 ]; do
  "$vane" train --resume "$killed" >/dev/null 2>"$work/log" &
  process=$!
  # Up to an eighth of the whole run's time, start included: ten of them seldom make a whole run.
  delay_ms=$((RANDOM * whole_ms / 8 / 32768))
  sleep "$((delay_ms / 1000)).$(printf %03d $((delay_ms % 1000)))"
  if ! kill -9 $process 2>/dev/null; then
    echo "the run ended after $kills kills, before the tenth: give it more steps"
    cat "$work/log"
    exit 1
  fi
  wait $process 2>/dev/null || true
  kills=$((kills + 1))
  echo "kill $kills: $(basename "$(ls "$killed"/checkpoints/step-*.safetensors | tail -n 1)") was the newest"
done
"$vane" train --resume "$killed" >/dev/null 2>"$work/log" || { cat "$work/log"; exit 1; }

cmp "$whole/$final" "$killed/$final"
cmp "$whole/checkpoints/best.safetensors" "$killed/checkpoints/best.safetensors"
# Metrics too, but for the speed and for means over intervals that a kill has cut short.
evaluations() { grep '"eval"' "$1/metrics.jsonl"; }
diff <(evaluations "$whole") <(evaluations "$killed")
echo "10 kills, $threads loader threads, $convolution: the same bits"
