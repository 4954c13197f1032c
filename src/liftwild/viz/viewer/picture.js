// The photo or the clip's picture, with the skeletons of the state's frame.

const MOST_DECODED = 24;

/** Whether there is no graphics card, and the processor does its work: it is slow then, and 2D is faster without it. */
const BY_PROCESSOR = (() => {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return true;
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name = gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
})();

class Picture {
  constructor(canvas, note, data, state, changed) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { willReadFrequently: BY_PROCESSOR });
    this.note = note;
    this.data = data;
    this.state = state;
    this.changed = changed;
    this.decoded = new Map();
    this.waiting = new Set();
    this.shown = -1;
    this.over = null; // draws over the picture: (pen, its place)
  }

  /** Show the last picture that was kept up to the state's frame, once it is decoded. */
  update() {
    const { frames } = this.data.pictures;
    if (!frames.length) return;
    const wanted = lastUpTo(frames, this.state.frame);
    this.wanted = wanted;
    if (this.decoded.has(wanted)) { this.shown = wanted; return; }
    if (this.waiting.has(wanted)) return;
    this.waiting.add(wanted);
    const image = new Image();
    image.src = `data:image/jpeg;base64,${this.data.pictures.data[wanted]}`;
    image.decode().then(() => {
      this.decoded.set(wanted, image);
      while (this.decoded.size > MOST_DECODED) this.decoded.delete(this.decoded.keys().next().value);
      if (this.wanted === wanted) { this.shown = wanted; this.changed(); }
    }, () => this.say("This browser cannot show the picture.")).finally(() => this.waiting.delete(wanted));
  }

  say(words) {
    this.note.textContent = words;
    this.note.hidden = !words;
  }

  /** px of the panel for a px of the recording, and where its corner is. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = Math.min(width / this.data.width, height / this.data.height);
    return { scale, x: (width - this.data.width * scale) / 2, y: (height - this.data.height * scale) / 2 };
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    Object.assign(this.canvas, { width: this.canvas.clientWidth * ratio, height: this.canvas.clientHeight * ratio });
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  shownJoints() {
    const { scale, x, y } = this.fit();
    return this.data.people.flatMap((one, person) => {
      const row = this.state.rowOf(person);
      if (row < 0) return [];
      return one.joints.flatMap((_, joint) => {
        const point = one.pointInside(row, joint);
        return known(point) ? [{ person, joint, at: [point[0] * scale + x, point[1] * scale + y] }] : [];
      });
    });
  }

  render() {
    const { pen, canvas, data, state } = this;
    const { scale, x, y } = this.fit();
    pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    const image = this.decoded.get(this.shown);
    if (image) pen.drawImage(image, x, y, data.width * scale, data.height * scale);
    const { frames } = data.pictures;
    if (!frames.length) {
      pen.lineWidth = 1;
      pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--line");
      pen.strokeRect(x + 0.5, y + 0.5, data.width * scale - 1, data.height * scale - 1);
      this.say("Written without pictures");
    } else if (data.clip) {
      const own = frames[Math.max(this.shown, 0)];
      this.say(own === state.frame ? "" : `Picture of frame ${own}`);
    }
    drawTrails(pen, data, state, (index, row, joint) => {
      const [u, v] = data.people[index].pointInside(row, joint);
      return known([u, v]) ? [u * scale + x, v * scale + y] : null;
    });
    if (state.bones) this.drawPeople(scale, x, y);
    if (this.over) this.over(pen, { scale, x, y });
  }

  drawPeople(scale, x, y) {
    const { pen, data, state } = this;
    // Who was picked comes last, on top.
    const order = data.people.map((_, index) => index).sort((a, b) => (a === state.focus) - (b === state.focus));
    for (const index of order) if (state.rowOf(index) >= 0) this.drawPerson(index, scale, x, y);
    const hit = state.hover && this.shownJoints().find(
      ({ person, joint }) => person === state.hover.person && joint === state.hover.joint);
    if (hit) {
      for (const [colour, width] of [["#fff", 4], ["#2d3036", 2]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.beginPath();
        pen.arc(...hit.at, 10, 0, 2 * Math.PI);
        pen.stroke();
      }
    }
  }

  drawPerson(index, scale, x, y) {
    const { pen, data, state } = this;
    const person = data.people[index];
    const row = state.rowOf(index);
    const points = person.joints.map((_, joint) => {
      const [u, v] = person.pointInside(row, joint);
      return [u * scale + x, v * scale + y];
    });
    const size = Math.max(person.boxes[4 * row + 2], person.boxes[4 * row + 3]) * scale;
    const stroke = Math.min(Math.max(size * 0.014, 1.6), 5);
    pen.globalAlpha = state.isPale(index) ? 0.4 : 1;
    pen.lineCap = "round";
    for (const [child, parent] of person.bones) {
      if (!known(points[child]) || !known(points[parent])) continue;
      const firm = person.isSure(row, child) && person.isSure(row, parent);
      const width = firm ? stroke : stroke * 0.45;
      for (const [colour, wide] of [["#fafafa", width + 0.9 * stroke], [data.look[person.sides[child]], width]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = wide;
        pen.beginPath();
        pen.moveTo(...points[child]);
        pen.lineTo(...points[parent]);
        pen.stroke();
      }
    }
    for (const joint of person.standingFeet(row)) {
      if (!known(points[joint])) continue;
      // A foot on the floor: a line below the ankle.
      const [u, v] = [points[joint][0], points[joint][1] + 3 * stroke];
      for (const [colour, wide] of [["#fafafa", 1.9 * stroke], [data.look[person.sides[joint]], stroke]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = wide;
        pen.beginPath();
        pen.moveTo(u - 4 * stroke, v);
        pen.lineTo(u + 4 * stroke, v);
        pen.stroke();
      }
    }
    points.forEach((point, joint) => {
      if (!known(point)) return;
      this.drawDisc(point, 1.05 * stroke, data.look[person.sides[joint]]);
      if (!person.isSure(row, joint)) this.drawDisc(point, 0.6 * stroke, "#fafafa");
    });
    pen.globalAlpha = 1;
  }

  drawDisc(point, radius, colour) {
    this.pen.fillStyle = colour;
    this.pen.beginPath();
    this.pen.arc(...point, radius, 0, 2 * Math.PI);
    this.pen.fill();
  }
}
