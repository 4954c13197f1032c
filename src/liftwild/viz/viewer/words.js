// What is written over the 3D panel: axes, mm along the floor, numbers of people, names of joints, a ring.

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif";

function drawWords(space) {
  const { words, canvas } = space;
  words.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  words.textAlign = "center";
  words.textBaseline = "middle";
  // Side by side, people stand where the numbers of x would be wrong.
  drawTicks(space, 0, space.data.placed || space.slots.count === 1);
  drawTicks(space, 2, true);
  drawAxes(space);
  if (space.data.people.length > 1) drawPeople(space);
  if (space.state.names) drawNames(space);
  const { hover } = space.state;
  const place = hover && space.bodies[hover.person].places && space.bodies[hover.person].places[hover.joint];
  const at = place && known(place.toArray()) && space.project(place);
  if (at) {
    words.strokeStyle = space.ink;
    words.lineWidth = 2;
    words.beginPath();
    words.arc(...at, 10, 0, 2 * Math.PI);
    words.stroke();
  }
}

/** mm along the floor's edge that is nearest to the camera; `axis` 0: x, 2: z (which runs away from the camera). */
function drawTicks(space, axis, numbered) {
  if (!numbered || space.empty) return;
  const { words, camera, canvas, ticks } = space;
  const [along, other] = axis === 0 ? [ticks[0], ticks[1]] : [ticks[1], ticks[0]];
  const middle = (other[0] + other.at(-1)) / 2;
  const eye = axis === 0 ? camera.position.z : camera.position.x;
  const edge = eye > middle ? other.at(-1) : other[0];
  const out = (eye > middle ? 1 : -1) * 0.035 * camera.position.distanceTo(space.controls.target);
  const place = (value, side) => space.project(
    axis === 0 ? new THREE.Vector3(value, space.level, side) : new THREE.Vector3(side, space.level, value));
  words.font = `11px ${FONT}`;
  words.fillStyle = space.faint;
  const points = along.map((value) => place(value, edge + out));
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return;
  // Every n-th line is numbered, 0 among them, so that the numbers do not touch.
  const apart = Math.hypot(last[0] - first[0], last[1] - first[1]) / (along.length - 1);
  const every = Math.max(1, Math.ceil(36 / Math.max(apart, 1)));
  along.forEach((value, index) => {
    const mm = Math.round((axis === 0 ? value : -value) * 1000);
    if (Math.round(mm / space.step) % every || !points[index]) return;
    const [x, y] = points[index];
    if (x > 20 && x < canvas.clientWidth - 20) words.fillText(String(mm === 0 ? 0 : mm).replace("-", "\u2212"), x, y);
  });
}

/** x, y and z as they point in this view, in the upper left corner. */
function drawAxes(space) {
  const { words, camera } = space;
  const origin = [42, 44];
  words.font = `12px ${FONT}`;
  words.lineWidth = 1.5;
  const turn = camera.quaternion.clone().invert();
  for (const [name, ...way] of [["x", 1, 0, 0], ["y", 0, -1, 0], ["z", 0, 0, -1]]) {
    const seen = new THREE.Vector3(...way).applyQuaternion(turn);
    const [x, y] = [seen.x * 26, -seen.y * 26];
    const length = Math.hypot(x, y);
    if (length < 6) continue;
    const [u, v] = [x / length, y / length];
    const tip = [origin[0] + x, origin[1] + y];
    words.strokeStyle = words.fillStyle = space.faint;
    words.beginPath();
    words.moveTo(...origin);
    words.lineTo(...tip);
    words.moveTo(tip[0] - 6 * u - 3 * v, tip[1] - 6 * v + 3 * u);
    words.lineTo(...tip);
    words.lineTo(tip[0] - 6 * u + 3 * v, tip[1] - 6 * v - 3 * u);
    words.stroke();
    words.fillText(name, tip[0] + 9 * u, tip[1] + 9 * v);
  }
}

/** People's numbers above their heads. */
function drawPeople(space) {
  space.words.textAlign = "center";
  space.bodies.forEach((body, index) => {
    const places = (body.places || []).filter((place) => known(place.toArray()));
    if (!places.length) return;
    const top = places.reduce((best, place) => (place.y > best.y ? place : best));
    const at = space.project(top);
    if (at) drawLabel(space, space.state.label(index), [at[0], at[1] - (space.state.names ? 32 : 20)], 13, space.state.isPale(index));
  });
}

/** Joints' names, on the side of the person that the joint is on, moved up or down where another stands. */
function drawNames(space) {
  const { words, state, data } = space;
  const shown = space.shownJoints().filter(({ person }) => !state.isPale(person));
  const middles = data.people.map((_, index) => {
    const own = shown.filter(({ person }) => person === index);
    return own.reduce((sum, { at }) => sum + at[0], 0) / Math.max(own.length, 1);
  });
  const taken = [];
  words.font = `11px ${FONT}`;
  for (const { person, joint, at } of shown) {
    const text = data.people[person].names[joint];
    const wide = words.measureText(text).width;
    const left = at[0] < middles[person] ? at[0] - 13 - wide : at[0] + 13;
    const free = [0, -12, 12, -24, 24, -36, 36].find((shift) => taken.every(([x, y, w]) =>
      x > left + wide + 4 || x + w + 4 < left || Math.abs(y - at[1] - shift) > 11));
    const y = at[1] + (free || 0);
    taken.push([left, y, wide]);
    words.textAlign = "left";
    drawLabel(space, text, [left, y], 11, false);
  }
}

/** One word that reads over anything. */
function drawLabel(space, text, at, size, pale) {
  const { words } = space;
  words.font = `${size}px ${FONT}`;
  words.lineJoin = "round";
  words.lineWidth = 4;
  words.strokeStyle = space.room;
  words.fillStyle = pale ? space.faint : space.ink;
  words.strokeText(text, ...at);
  words.fillText(text, ...at);
}
