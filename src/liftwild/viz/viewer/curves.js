// One chart: an angle over time as lines, with the frames in which feet are on the floor and a cursor.

const CHART = { width: 360, height: 140, left: 34, right: 8, top: 6, bottom: 28 }; // below the curves: feet, then times
const FOOT_BARS = { first: 116.5, step: 5, tall: 4 };
const MIN_SPAN_DEG = 30; // of a chart: what hardly moves looks so
const DEGREE_STEPS = [10, 15, 30, 45, 60, 90, 180, 360];
const SECOND_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

function svg(tag, attributes, parent) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (parent) parent.append(made);
  return made;
}

/** The first of `steps` that cuts `span` into `most` parts or fewer. */
function niceStep(steps, span, most) { return steps.find((step) => span / step <= most) || Math.ceil(span / most); }

class Curves {
  /** `values` by side: degrees of each row of `person`, NaN where not known. */
  constructor(data, person, values, colours) {
    const { width, height, top, bottom } = CHART;
    this.person = person;
    this.values = values;
    this.colours = colours;
    this.times = Array.from(person.frames, (frame) => data.times[frame]);
    const known = Object.values(values).flatMap((own) => Array.from(own.filter(Number.isFinite)));
    let [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
    if (!known.length) [low, high] = [0, 0];
    const widen = Math.max(MIN_SPAN_DEG - (high - low), 4) / 2;
    this.low = low - widen;
    this.high = high + widen;
    this.svg = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    this.y = (degrees) => top + (this.high - degrees) / (this.high - this.low) * (height - top - bottom);
    this.cursor = svg("line", { y1: top, y2: height - bottom, class: "cursor" });
    this.draw(this.times[0], this.times.at(-1) - this.times[0]);
  }

  /** Show `span` seconds from `start` on. */
  draw(start, span) {
    this.start = start;
    this.span = Math.max(span, 1e-6);
    this.first = lastUpTo(this.times, start);
    this.last = lastUpTo(this.times, start + this.span);
    this.svg.replaceChildren();
    this.drawGrid();
    this.drawContacts();
    for (const [side, own] of Object.entries(this.values)) {
      svg("path", { d: this.path(own), class: "curve", stroke: this.colours[side] }, this.svg);
    }
    this.svg.append(this.cursor);
  }

  x(time) { return CHART.left + (time - this.start) / this.span * (CHART.width - CHART.left - CHART.right); }

  drawGrid() {
    const { width, height, left, right, top, bottom } = CHART;
    const text = (words, x, y, anchor) => {
      svg("text", { x, y, "text-anchor": anchor }, this.svg).textContent = words.replace("-", "\u2212");
    };
    const step = niceStep(DEGREE_STEPS, this.high - this.low, 5);
    for (let value = Math.ceil(this.low / step) * step; value <= this.high; value += step) {
      const y = this.y(value);
      svg("line", { x1: left, x2: width - right, y1: y, y2: y, class: value === 0 ? "zero" : "grid" }, this.svg);
      text(String(value), left - 4, y + 3.5, "end");
    }
    const seconds = niceStep(SECOND_STEPS, this.span, 8);
    const digits = seconds < 1 ? 1 : 0;
    for (let count = Math.ceil(this.start / seconds); count * seconds <= this.start + this.span + 1e-9; count++) {
      const x = this.x(count * seconds);
      svg("line", { x1: x, x2: x, y1: top, y2: height - bottom, class: "grid" }, this.svg);
      text(`${(count * seconds).toFixed(digits)} s`, Math.min(x, width - 14), height - 4, "middle");
    }
  }

  /** Bars below the curves while a foot is on the floor, left above right; and frames that were interpolated. */
  drawContacts() {
    const { height, top, bottom } = CHART;
    const bars = (isOn, y, tall, attributes) => {
      const pieces = [];
      for (let row = this.first; row <= this.last; row++) {
        if (!isOn(row)) continue;
        const first = row;
        while (row < this.last && isOn(row + 1)) row++;
        const [from, to] = [this.edge(first - 1, first), this.edge(row, row + 1)];
        pieces.push(`M${from.toFixed(1)} ${y}h${Math.max(to - from, 0.5).toFixed(1)}`);
      }
      svg("path", { d: pieces.join(""), "stroke-width": tall, ...attributes }, this.svg);
    };
    const { contacts, filled } = this.person;
    if (filled) bars((row) => filled[row] === 1, (top + height - bottom) / 2, height - bottom - top, { class: "filled" });
    if (!contacts) return;
    for (const [side, name] of ["left", "right"].entries()) {
      bars((row) => contacts[2 * row + side] === 1, FOOT_BARS.first + FOOT_BARS.step * side, FOOT_BARS.tall, { class: "contact", stroke: this.colours[name] });
    }
  }

  /** Half-way between two rows, in px, but within the chart. */
  edge(before, after) {
    const { times, first, last } = this;
    return this.x((times[Math.max(before, first)] + times[Math.min(after, last)]) / 2);
  }

  /** A line with gaps where nothing is known or nobody was seen; of many rows the least and the most in each px. */
  path(values) {
    const { frames } = this.person;
    const columns = CHART.width - CHART.left - CHART.right;
    const stride = Math.max(1, Math.floor((this.last - this.first) / columns / 2));
    const pieces = [];
    let last = null;
    for (let row = this.first; row <= this.last; row += stride) {
      const own = [];
      for (let each = row; each < Math.min(row + stride, this.last + 1); each++) if (Number.isFinite(values[each])) own.push(each);
      if (!own.length) { last = null; continue; }
      const low = own.reduce((best, each) => (values[each] < values[best] ? each : best));
      const high = own.reduce((best, each) => (values[each] > values[best] ? each : best));
      for (const each of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
        const isNext = last !== null && frames[each] - frames[last] <= 2 * stride && frames[each] - frames[last] === each - last;
        // A point alone is a dot: its line has round ends.
        pieces.push(`${isNext ? "L" : "M"}${this.x(this.times[each]).toFixed(1)} ${this.y(values[each]).toFixed(1)}${isNext ? "" : "h0"}`);
        last = each;
      }
    }
    return pieces.join("");
  }

  /** The row of the person that is nearest to a place on the screen. */
  rowAt(clientX) {
    const box = this.svg.getBoundingClientRect();
    const x = (clientX - box.left) / box.width * CHART.width;
    const time = this.start + (x - CHART.left) / (CHART.width - CHART.left - CHART.right) * this.span;
    const row = Math.max(lastUpTo(this.times, time), this.first);
    return row < this.last && this.times[row + 1] - time < time - this.times[row] ? row + 1 : row;
  }

  /** Show the piece of `span` seconds that holds `time`, of pieces one after the other; all if it is that short. */
  turnTo(time, span) {
    const [begin, end] = [this.times[0], this.times.at(-1)];
    if (end - begin <= span) span = end - begin;
    const piece = Math.floor((Math.min(Math.max(time, begin), end - 1e-9) - begin) / Math.max(span, 1e-6));
    const start = begin + Math.max(piece, 0) * span;
    if (start !== this.start || Math.max(span, 1e-6) !== this.span) this.draw(start, span);
  }

  show(time) {
    const isIn = time >= this.start - 1e-9 && time <= this.start + this.span + 1e-9;
    this.cursor.style.visibility = isIn ? "visible" : "hidden";
    this.cursor.setAttribute("x1", this.x(time));
    this.cursor.setAttribute("x2", this.x(time));
  }
}
