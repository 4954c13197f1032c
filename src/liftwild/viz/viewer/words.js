// What is written over the 3D panel: axes, mm along the floor, numbers of people, names of joints, a ring.

const FEW = 3; // people who are all named, most
const NARROW_PX = 440; // of the panel
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif";

function drawWords(space) {
  const { words, canvas } = space;
  words.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  words.textAlign = "center";
  words.textBaseline = "middle";
  drawTrails(words, space.data, space.state, (index, row, joint) => {
    const place = space.at(index, row, joint);
    return known(place.toArray()) ? space.project(place) : null;
  });
  // Side by side, people stand where the numbers of x, and in several rows those of z, would be wrong.
  drawTicks(space, 0, space.data.placed || space.slots.count === 1);
  drawTicks(space, 2, space.data.placed || space.slots.rows === 1);
  drawAxes(space);
  const taken = []; // where words are: [left, middle, width, height]
  if (space.data.people.length > 1) drawPeople(space, taken);
  if (space.state.names) drawNames(space, taken);
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
    const isWhole = x > 20 && x < canvas.clientWidth - 20 && y > 8 && y < canvas.clientHeight - 8;
    if (isWhole) words.fillText(String(mm === 0 ? 0 : mm).replace("-", "\u2212"), x, y);
  });
}

/** x, y and z as they point in this view, in the upper left corner. */
function drawAxes(space) {
  const { words, camera, canvas } = space;
  const origin = [42, canvas.clientWidth < NARROW_PX ? space.clear + 34 : 44]; // there buttons take the whole width
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

/** The first place of `places` ([left, middle]) where a text of this width and height hides no other, kept in `taken`;
 * null if there is none. */
function freePlace(taken, places, width, height) {
  const free = places.find(([left, y]) => taken.every(([x, other, w, h]) =>
    x > left + width + 4 || x + w + 4 < left || Math.abs(y - other) > (h + height) / 2));
  if (!free) return null;
  taken.push([...free, width, height]);
  return free;
}

/** People's numbers above their heads, who was picked first, then the nearest; a number that would hide another is left
 * out. */
function drawPeople(space, taken) {
  const { words, state, camera } = space;
  const people = space.bodies.flatMap((body, index) => {
    const places = (body.places || []).filter((place) => known(place.toArray()));
    if (!places.length) return [];
    const top = places.reduce((best, place) => (place.y > best.y ? place : best));
    return [{ index, at: space.project(top), far: state.isPale(index) ? Infinity : top.distanceTo(camera.position) }];
  });
  words.font = `13px ${FONT}`;
  for (const { index, at } of people.sort((a, b) => a.far - b.far)) {
    if (!at) continue;
    const text = state.shortLabel(index);
    const wide = words.measureText(text).width;
    const high = Math.max(at[1] - (state.names ? 32 : 20), space.clear + 10);
    const place = freePlace(taken, [0, -14, 14, -28, 28].map((shift) => [at[0] - wide / 2, high + shift]), wide, 12);
    words.textAlign = "left";
    if (place) drawLabel(space, text, place, 13, state.isPale(index));
  }
}

/** Joints' names, on the side of the person that the joint is on, moved up or down where another stands, left out where
 * there is no place: of who was picked, or is followed; of a few people all, of many who is pointed at or the nearest. */
function drawNames(space, taken) {
  const { words, state, data, camera } = space;
  const only = state.focus !== null ? state.focus : state.leader();
  const shown = space.shownJoints().filter(({ person }) => only === null || person === only);
  const people = [...new Set(shown.map(({ person }) => person))].map((person) => {
    const own = shown.filter((one) => one.person === person);
    const middle = own.reduce((sum, { at }) => sum + at[0], 0) / own.length;
    const far = Math.min(...own.map(({ joint }) => space.bodies[person].places[joint].distanceTo(camera.position)));
    return { person, own, middle, far };
  });
  words.font = `11px ${FONT}`;
  words.textAlign = "left";
  const isFirst = ({ person }) => state.hover !== null && state.hover.person === person;
  people.sort((a, b) => isFirst(b) - isFirst(a) || a.far - b.far);
  for (const { person, own, middle } of people.length > FEW ? people.slice(0, 1) : people) {
    for (const { joint, at } of own) {
      const text = data.people[person].names[joint];
      const wide = words.measureText(text).width;
      const left = at[0] < middle ? at[0] - 13 - wide : at[0] + 13;
      const place = freePlace(taken, [0, -12, 12, -24, 24, -36, 36].map((shift) => [left, at[1] + shift]), wide, 10);
      if (place) drawLabel(space, text, place, 11, false);
    }
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
