"use strict";
// What the page holds, decoded: arrays of numbers in which NaN is what is not known.

/** A packed array of viz/viewer_html.py as Float64Array; the smallest whole number stands for NaN. A plain array, as live
 * poses come in, stays as it is. */
function unpack(packed) {
  if (packed === null) return null;
  if (Array.isArray(packed)) return Float64Array.from(packed, (value) => (value === null ? NaN : value));
  const text = atob(packed.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const size = packed.bits / 8;
  const none = -(2 ** (packed.bits - 1));
  const values = new Float64Array(bytes.length / size);
  for (let i = 0; i < values.length; i++) {
    const whole = size === 2 ? view.getInt16(2 * i, true) : view.getInt32(4 * i, true);
    values[i] = whole === none ? NaN : whole * packed.step;
  }
  return values;
}

const FEET = ["left_ankle", "right_ankle"];

/** One person: `at(frame)` is the row of a frame or -1, and joints are read by row. */
class Person {
  constructor(raw, look) {
    this.id = raw.id;
    this.joints = raw.joints;
    this.names = raw.joints.map((name) => name.replaceAll("_", " "));
    this.parents = raw.parents;
    this.frames = unpack(raw.frames);
    this.boxes = unpack(raw.boxes);
    this.joints2d = unpack(raw.joints2d);
    this.joints3d = unpack(raw.joints3d);
    this.confidence = unpack(raw.confidence);
    this.spread = unpack(raw.spread);
    this.inside = unpack(raw.inside);
    this.visible = unpack(raw.visible);
    this.root = unpack(raw.root);
    this.contacts = unpack(raw.contacts);
    this.filled = unpack(raw.filled);
    this.unsure = look.unsure;
    this.rows = new Map(Array.from(this.frames, (frame, row) => [frame, row]));
    this.sides = this.joints.map((name) =>
      name.startsWith("left_") ? "left" : name.startsWith("right_") ? "right" : "middle");
    this.feet = FEET.map((name) => this.joints.indexOf(name));
    this.bones = this.parents.map((parent, child) => [child, parent]).filter((bone) => bone[1] >= 0);
  }

  at(frame) { return this.rows.has(frame) ? this.rows.get(frame) : -1; }

  /** [x, y] in px of the picture. */
  point(row, joint) {
    const i = 2 * (row * this.joints.length + joint);
    return [this.joints2d[i], this.joints2d[i + 1]];
  }

  /** The same, NaN where the joint is rather outside the picture: it is not drawn there. */
  pointInside(row, joint) { return this.isOutside(row, joint) ? [NaN, NaN] : this.point(row, joint); }

  /** [x, y, z] in mm from the pelvis. */
  offset(row, joint) {
    const i = 3 * (row * this.joints.length + joint);
    return [this.joints3d[i], this.joints3d[i + 1], this.joints3d[i + 2]];
  }

  /** [x, y, z] in mm of the pelvis in space, or null. */
  pelvis(row) { return this.root === null ? null : Array.from(this.root.subarray(3 * row, 3 * row + 3)); }

  sureness(row, joint) { return this.confidence[row * this.joints.length + joint]; }

  isSure(row, joint) {
    return this.sureness(row, joint) >= this.unsure && !this.isOutside(row, joint) && !this.isFilled(row);
  }

  /** Whether the pose of a row was interpolated, not seen. */
  isFilled(row) { return this.filled !== null && this.filled[row] === 1; }

  /** The ankles, as joints, of the feet that are on the floor; empty where that is not known. */
  standingFeet(row) {
    return this.feet.filter((joint, side) => joint >= 0 && this.contacts !== null && this.contacts[2 * row + side] === 1);
  }

  isOutside(row, joint) { return this.number("inside", row, joint) < 0.5; }

  /** A joint's "spread", "inside" or "visible"; NaN where it is not known. */
  number(what, row, joint) { return this[what] === null ? NaN : this[what][row * this.joints.length + joint]; }
}

function known(values) { return values.every(Number.isFinite); }

function readRecording() {
  const raw = JSON.parse(document.getElementById("recording").textContent);
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  raw.people = raw.people.map((person) => new Person(person, raw.look));
  raw.times = unpack(raw.times);
  // Of a frame, s; 0 for a photo.
  raw.interval = raw.frames > 1 ? (raw.times.at(-1) - raw.times[0]) / (raw.frames - 1) : 0;
  raw.levelled = raw.placed && raw.about.levelled !== null;
  return { ...raw, pictures };
}

/** The last of rising `values` that is not above `value`; 0 if all are. */
function lastUpTo(values, value) {
  let low = 0;
  let high = values.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}
