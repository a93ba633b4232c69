#!/usr/bin/env bash
# kill -9 at ten random moments, resume after each: the final checkpoint must have the bytes of the
# uninterrupted run's. Usage: kill.sh VANE PRESETS LOADER_THREADS auto|direct [DEVICE [STEPS BATCH KILLS]]
set -euo pipefail
vane=$1 presets=$2 threads=$3 convolution=$4 device=${5:-cpu} steps=${6:-300} batch=${7:-32} n_kills=${8:-10}
work=$(mktemp -d /tmp/vane-kill-XXXXXX)
trap 'rm -rf "$work"' EXIT
RANDOM=$((threads * 7 + 1)) # the same moments, as far as time repeats

whole=$work/whole killed=$work/killed
first=checkpoints/step-00000000.safetensors
last=checkpoints/last.safetensors
final=checkpoints/step-$(printf %08d $steps).safetensors

ms_since() { echo $((($(date +%s%N) - $1) / 1000000)); }

began=$(date +%s%N)
"$vane" train "$presets/scenes.yaml" --out "$whole" --set "train.steps=$steps" --set train.keep=1000 \
  --set "train.save_every=$(((steps + 40) / 43))" --set "train.eval_every=$((steps / 10 + 1))" \
  --set train.log_every=5 --set "train.batch=$batch" \
  --set data.test.count=64 --set data.train.count=1000 --set "data.threads=$threads" \
  --device "$device" --set "device.convolution=$convolution" --set 'data.augment={rotate: 20, flip: true, shift: 2}' \
  --set 'optim.guard={mode: on, every: 7, margin: 0.001}' \
  >/dev/null 2>"$work/log" &
process=$!
# A GPU takes its time before the first step.
while ! [ -e "$whole/$first" ] && kill -0 $process 2>/dev/null; do sleep 0.01; done
start_ms=$(ms_since "$began")
wait $process || { cat "$work/log"; exit 1; }
whole_ms=$(ms_since "$began")

# Algorithms that were chosen by measurement are part of every checkpoint: both runs begin with the
# same first one.
mkdir -p "$killed/checkpoints"
cp "$whole/config.yaml" "$killed/"
cp "$whole/$first" "$killed/$first"
ln "$killed/$first" "$killed/$last"
touch "$killed/metrics.jsonl"

kills=0
while [ "$kills" -lt "$n_kills" ]; do
  "$vane" train --resume "$killed" >/dev/null 2>"$work/log" &
  process=$!
  # From the midst of the start up to an eighth of the whole run beyond it: ten of them seldom make a whole
  # run.
  delay_ms=$((start_ms / 2 + RANDOM * (start_ms / 2 + (whole_ms - start_ms) / 8) / 32768))
  sleep "$((delay_ms / 1000)).$(printf %03d $((delay_ms % 1000)))"
  if ! kill -9 $process 2>/dev/null; then
    wait $process || { cat "$work/log"; exit 1; }
    echo "the run ended by itself after $kills of $n_kills kills"
    [ "$kills" -ge $((n_kills / 2)) ] || exit 1 # too few to show anything: give it more steps
    break
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
echo "$kills kills on $device, $threads loader threads, $convolution: the same bits"
