#!/usr/bin/env bash
# Makes src/liftwild/viz/viewer/three.min.js anew: the parts of three.js that the viewer uses, in one classic script
# that defines THREE. Needs node, npm and the npm registry. Usage: scripts/bundle_viewer.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

three=0.187.0 esbuild=0.28.2
room=$PWD/src/liftwild/viz/viewer
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
cd "$temp"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund "three@$three" "esbuild@$esbuild"

cat >entry.js <<'JS'
export {
  BufferGeometry, Color, CylinderGeometry, DirectionalLight, Float32BufferAttribute, Fog, Group, HemisphereLight,
  LineBasicMaterial, LineSegments, Mesh, MeshLambertMaterial, PerspectiveCamera, PlaneGeometry, Scene, ShadowMaterial,
  SphereGeometry, Vector3, WebGLRenderer,
} from "three";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";
JS
# The licence asks to go with every copy, and each page that the viewer writes is one.
notice="/*! three.js $three
$(cat node_modules/three/LICENSE)
*/"
npx esbuild entry.js --bundle --minify --format=iife --global-name=THREE --target=es2020 --legal-comments=none \
    --charset=ascii --banner:js="$notice" --log-level=warning --outfile=three.min.js

cp three.min.js "$room/three.min.js"
cp node_modules/three/LICENSE "$room/three_LICENSE"
echo "three.js $three: $(wc -c <"$room/three.min.js") bytes"
