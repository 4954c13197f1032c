#!/usr/bin/env bash
# Builds the wheel and tries it as a new user would: an empty environment, no extras, outside the checkout.
# Usage: scripts/check_wheel.sh [DIR]    with DIR, the wheel is left there once it has passed. `make wheel` calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
checkout=$PWD
# A PYTHONPATH that points at the checkout would hide what the wheel lacks.
unset PYTHONPATH PYTHONHOME

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

echo "Building the wheel"
.venv/bin/python -m build --wheel --outdir "$temp/dist" . >"$temp/log" 2>&1 || { cat "$temp/log"; exit 1; }
wheel=$(echo "$temp"/dist/*.whl)

echo "Installing ${wheel##*/} into an empty environment"
.venv/bin/python -m venv "$temp/venv"
"$temp/venv/bin/python" -m pip install -qq --disable-pip-version-check -c constraints.txt "$wheel"

echo "Predicting with it"
mkdir "$temp/elsewhere"
cp examples/person.jpg examples/clip.mp4 "$temp/elsewhere/"
cd "$temp/elsewhere"
"$temp/venv/bin/liftwild" predict person.jpg clip.mp4 --view --format json,bvh -o out
"$temp/venv/bin/python" - <<'PY'
import json
import math
from pathlib import Path

people = json.loads(Path("out/person.json").read_text(encoding="utf-8"))["people"]
assert len(people) == 1, f"{len(people)} people in out/person.json, expected 1"
joints = people[0]["joints_3d"]
assert len(joints) == 16, f"{len(joints)} joints_3d in out/person.json, expected 16"
assert all(len(joint) == 3 and all(map(math.isfinite, joint)) for joint in joints), f"bad joints_3d: {joints}"
assert Path("out/person.png").stat().st_size > 0, "out/person.png is empty"
for name in ("person", "clip"):
    page = Path(f"out/{name}.html").read_text(encoding="utf-8")
    assert "three.js" in page and "liftwild-view" in page, f"out/{name}.html is no viewer"
clip = json.loads(Path("out/clip.json").read_text(encoding="utf-8"))
frames = [len(person["frames"]) for person in clip["people"]]
assert len(clip["times_s"]) == 100 and max(frames) > 80, f"{len(clip['times_s'])} frames, people in {frames} of them"
assert Path("out/clip.person0.bvh").read_bytes().startswith(b"HIERARCHY"), "out/clip.person0.bvh is no BVH"
PY

echo "Looking for its recipes"
"$temp/venv/bin/python" - <<'PY'
from liftwild.training.recipe_file import find_recipe

assert "liftwild/recipes" in find_recipe("adapt").as_posix(), find_recipe("adapt")
assert find_recipe("adapt").is_file(), "the wheel lacks recipes/adapt.toml"
PY

echo "Serving with it"
"$temp/venv/bin/python" -m pip install -qq --disable-pip-version-check -c "$checkout/constraints.txt" "$wheel[app]"
"$temp/venv/bin/python" - "$temp/venv/bin/liftwild" <<'PY'
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

server = subprocess.Popen(
    [sys.argv[1], "serve", "--port", "0", "--data", "served", "--weights", "small"], stdout=subprocess.PIPE, text=True
)
try:
    address = server.stdout.readline().split()[-1]
    assert b"<main" in urllib.request.urlopen(address).read(), "the wheel lacks the page"
    found = json.load(urllib.request.urlopen(f"{address}v1/poses", Path("person.jpg").read_bytes()))
    assert len(found["people"]) == 1, f"{len(found['people'])} people by HTTP, expected 1"
finally:
    server.terminate()
    assert server.wait(30) == 0, "the server did not end well"
PY

cd "$checkout"
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    cp "$wheel" "$1/"
    echo "Left in $1/${wheel##*/}"
fi
echo "The wheel works"
