// How the 3D panel is laid out: where people without a place stand, what the camera takes in, and from how far.

const FRONT_ROW = 5; // people side by side, most, before there is a second row
const SPARE = 0.003; // part of the joints, at each end of an axis, that need not be in view
const MOST_FITTED = 3000;
const FILLED = 0.84; // of the panel below its buttons, by people
const MAX_BUTTONS = 0.3; // of the panel's height, that buttons take

/** For people whose place is not known: a shift in m for each, [x, 0, z], such that two who are seen together stand apart,
 * in the order in which they stand in the picture; of many, each row stands behind the gaps of the one before. */
function sideBySide(people) {
  const widest = Math.max(0, ...people.map((person) => {
    const far = Array.from({ length: person.joints3d.length / 3 }, (_, i) => Math.abs(person.joints3d[3 * i]))
      .filter(Number.isFinite).sort((a, b) => a - b);
    return far.length ? far[Math.floor(0.98 * (far.length - 1))] : 0;
  }));
  const apart = Math.min(Math.max(2.1 * widest / 1000, 1.0), 2.5);
  const order = people.map((_, index) => index).sort((a, b) =>
    people[a].frames[0] - people[b].frames[0] || people[a].boxes[0] - people[b].boxes[0]);
  const ends = [];
  const slot = [];
  for (const index of order) {
    const { frames } = people[index];
    let free = ends.findIndex((end) => end < frames[0]);
    if (free < 0) free = ends.length;
    ends[free] = frames.at(-1);
    slot[index] = free;
  }
  const rows = ends.length <= FRONT_ROW ? 1 : Math.round(Math.sqrt(0.8 * ends.length));
  const columns = Math.ceil(ends.length / rows);
  const shift = slot.map((own) => {
    const row = own % rows; // neighbours in the picture stay neighbours
    const x = Math.floor(own / rows) + row / rows - (columns - 1 / rows) / 2;
    return [x * apart, 0, -row * Math.max(apart, 1.5)];
  });
  return { count: ends.length, rows, shift };
}

/** The scene's points without the farthest of each axis; few enough to fit a view to. */
function withoutStrays(points) {
  if (!points.length) return [];
  const spare = Math.floor(SPARE * points.length);
  const bounds = [0, 1, 2].map((axis) => {
    const sorted = Float64Array.from(points, (point) => point[axis]).sort();
    return [sorted[spare], sorted[sorted.length - 1 - spare]];
  });
  const kept = points.filter((point) => point.every((value, axis) => value >= bounds[axis][0] && value <= bounds[axis][1]));
  const stride = Math.ceil(kept.length / MOST_FITTED);
  return kept.filter((_, place) => place % stride === 0);
}

/** Where a camera that looks along `-back` sees all `points` ([x, y, z]) as large as may be, below the buttons that take
 * the part `taken` of the panel's height, and fill the part `filled` of the rest: its target and distance. */
function fitView(points, back, right, aspect, taken, filled) {
  const up = back.clone().cross(right);
  const seen = points.map((point) => {
    const place = new THREE.Vector3(...point);
    return [place.dot(right), place.dot(up), place.dot(back)];
  });
  const spare = Math.min(taken, MAX_BUTTONS);
  const all = Math.tan(FIELD_DEG * Math.PI / 360);
  const half = [all * aspect * filled, all * (1 - spare) * filled];
  const ends = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const middle = [0, 1, 2].map((axis) => {
    const [low, high] = ends(seen.map((place) => place[axis]));
    return (low + high) / 2;
  });
  let distance = 0.5;
  // Nearer people look larger: the middle of what is seen is found in a few steps.
  for (let round = 0; round < 6; round++) {
    distance = seen.reduce((far, place) => Math.max(far,
      place[2] - middle[2] + Math.max(Math.abs(place[0] - middle[0]) / half[0], Math.abs(place[1] - middle[1]) / half[1])), 0.5);
    for (const axis of [0, 1]) {
      const [low, high] = ends(seen.map((place) => (place[axis] - middle[axis]) / (distance + middle[2] - place[2])));
      middle[axis] += (low + high) / 2 * distance;
    }
  }
  middle[1] += spare * all * distance;
  const target = right.clone().multiplyScalar(middle[0]).addScaledVector(up, middle[1]).addScaledVector(back, middle[2]);
  return { target, distance };
}
