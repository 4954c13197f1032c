// Inside a page that holds this one: people are outlined on the picture, and chosen by a click or by a box drawn about one.

const CORNER = 0.22; // of an outline's shorter side, that its corners take
const CLICK_PX = 6; // that a pointer may move in a click
const MIN_BOX_PX = 8; // of the recording
const KEY_STEP = 0.02; // of the picture's longer side, for a box that keys move

class Chooser {
  constructor(app) {
    this.app = app;
    this.canvas = byId("picture-canvas");
    this.near = null; // the person under the pointer
    this.told = null; // who the page knows is picked
    this.box = null; // that is drawn: [x0, y0, x1, y1] px of the recording
    this.isDrawing = false; // a box is asked for
    document.documentElement.classList.add("framed");
    this.accent = "#45d6a0"; // on photos, in light and dark
    byId("about-open").before(document.querySelector(".legend")); // the page has the rest of the head
    this.addButton();
    this.wirePointer();
    window.addEventListener("keydown", (event) => this.key(event), true);
    window.addEventListener("message", (event) => {
      if (event.origin === location.origin && event.source === parent && event.data.pick !== undefined) this.pick(event.data.pick);
    });
    app.picture.over = (pen, fit) => this.draw(pen, fit);
    app.draw();
  }

  tell(message) { parent.postMessage(message, location.origin); }

  /** Pick the person with a number, or null: all. */
  pick(id) {
    const { app } = this;
    const index = id === null ? null : app.data.people.findIndex((person) => person.id === id);
    if (index !== -1 && index !== app.state.focus) app.people.pick(index);
  }

  /** Say who is picked when that changed. */
  show() {
    const { state, data } = this.app;
    const picked = state.focus === null ? null : data.people[state.focus].id;
    if (picked !== this.told) this.tell({ picked });
    this.told = picked;
  }

  addButton() {
    this.button = document.createElement("button");
    Object.assign(this.button, { id: "box", type: "button", textContent: "Draw a box", title: "Look at one person only: draw a box about him or her (X)" });
    this.button.setAttribute("aria-pressed", "false");
    this.button.addEventListener("click", (event) => this.ask(!this.isDrawing, event.detail === 0));
    document.querySelector("#picture .tools").prepend(this.button);
    this.note = document.createElement("p");
    Object.assign(this.note, { id: "box-note", className: "note", hidden: true });
    this.note.setAttribute("role", "status");
    byId("picture").append(this.note);
  }

  /** Ask for a box, or no more; `byKeys`: one is there that keys move. */
  ask(on, byKeys = false) {
    const { data } = this.app;
    this.isDrawing = on;
    if (on && data.clip) { // a box says where the person is at the beginning
      this.app.play(false);
      this.app.go(0);
    }
    this.button.setAttribute("aria-pressed", on);
    byId("picture").classList.toggle("drawing", on);
    this.note.hidden = !on;
    this.note.textContent = !on ? "" : byKeys
      ? "Arrows move the box, with shift they size it. Enter takes it, Escape leaves it."
      : "Drag a box about one person. Escape leaves.";
    this.box = on && byKeys ? [0.35, 0.2, 0.65, 0.9].map((share, side) => share * (side % 2 ? data.height : data.width)) : null;
    this.app.draw();
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || byId("about").open) return;
    if (document.activeElement.tagName === "SELECT") return;
    const { data } = this.app;
    const step = KEY_STEP * Math.max(data.width, data.height);
    const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (event.key.toLowerCase() === "x") this.ask(!this.isDrawing, true);
    else if (!this.isDrawing) return;
    else if (event.key === "Escape") this.ask(false);
    else if (event.key === "Enter" && this.box) this.take();
    else if (way && this.box) {
      const [x0, y0, x1, y1] = this.box;
      this.box = event.shiftKey ? [x0, y0, x1 + way[0], y1 + way[1]] : [x0 + way[0], y0 + way[1], x1 + way[0], y1 + way[1]];
      this.app.draw();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  /** The box that is drawn goes to the page, if it is one. */
  take() {
    const { data } = this.app;
    const [x0, x1] = [this.box[0], this.box[2]].sort((a, b) => a - b).map((x) => Math.min(Math.max(x, 0), data.width));
    const [y0, y1] = [this.box[1], this.box[3]].sort((a, b) => a - b).map((y) => Math.min(Math.max(y, 0), data.height));
    this.ask(false);
    if (x1 - x0 < MIN_BOX_PX || y1 - y0 < MIN_BOX_PX) return;
    this.tell({ box: [x0, y0, x1 - x0, y1 - y0].map((value) => Math.round(10 * value) / 10) });
  }

  wirePointer() {
    const { canvas, app } = this;
    let start = null;
    const place = (event) => {
      const corner = canvas.getBoundingClientRect();
      const { scale, x, y } = app.picture.fit();
      return [(event.clientX - corner.left - x) / scale, (event.clientY - corner.top - y) / scale, scale];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const [x, y] = place(event);
      const mayDraw = this.isDrawing || (event.pointerType === "mouse" && !app.data.clip);
      start = { x, y, mayDraw, isClick: true };
      if (mayDraw) canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y, scale] = place(event);
      if (!start) { this.point(event.pointerType === "touch" ? null : this.personAt(x, y)); return; }
      if (Math.hypot(x - start.x, y - start.y) * scale > CLICK_PX) start.isClick = false;
      if (start.isClick || !start.mayDraw) return;
      this.box = [start.x, start.y, x, y];
      app.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const [x, y] = place(event);
      if (start && start.isClick && !this.isDrawing) {
        const index = this.personAt(x, y);
        if (index !== null || app.state.focus !== null) app.people.pick(index);
      } else if (start && !start.isClick && this.box) this.take();
      start = null;
    });
    canvas.addEventListener("pointercancel", () => { start = null; this.ask(false); });
    canvas.addEventListener("pointerleave", () => { if (!start) this.point(null); });
  }

  point(index) {
    if (index === this.near) return;
    this.near = index;
    byId("picture").classList.toggle("pointed", index !== null && !this.isDrawing);
    this.app.draw();
  }

  /** Who is at a px of the recording: of several, the one with the smallest box; null if nobody is. */
  personAt(x, y) {
    let best = null;
    this.app.data.people.forEach((person, index) => {
      const box = this.boxOf(index);
      if (!box || x < box[0] || y < box[1] || x > box[0] + box[2] || y > box[1] + box[3]) return;
      if (!best || box[2] * box[3] < best.size) best = { index, size: box[2] * box[3] };
    });
    return best && best.index;
  }

  /** [x, y, w, h] px of the recording in this frame, or null. */
  boxOf(index) {
    const row = this.app.state.rowOf(index);
    return row < 0 ? null : Array.from(this.app.data.people[index].boxes.subarray(4 * row, 4 * row + 4));
  }

  draw(pen, { scale, x, y }) {
    const { data, state } = this.app;
    const onPanel = ([left, top, wide, high]) => [left * scale + x, top * scale + y, wide * scale, high * scale];
    pen.save();
    pen.beginPath();
    pen.rect(x, y, data.width * scale, data.height * scale);
    pen.clip();
    data.people.forEach((_, index) => {
      const box = this.boxOf(index);
      if (!box) return;
      const isPicked = state.focus === index;
      const isNear = this.near === index && !this.isDrawing;
      pen.globalAlpha = state.isPale(index) && !isNear ? 0.45 : 1;
      outline(pen, onPanel(box), isPicked ? this.accent : "#ffffff", isPicked || isNear, isPicked ? 3 : 2);
      if (isPicked || isNear) tag(pen, state.label(index), onPanel(box), isPicked ? this.accent : "#ffffff");
    });
    pen.globalAlpha = 1;
    if (this.box) {
      const [x0, y0, x1, y1] = this.box;
      const drawn = onPanel([Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)]);
      pen.fillStyle = "rgb(69 214 160 / 0.16)";
      pen.fillRect(...drawn);
      outline(pen, drawn, this.accent, true, 2);
    }
    pen.restore();
  }
}

/** A frame about [x, y, w, h] px that reads on any picture: its corners, or whole. */
function outline(pen, [x, y, w, h], colour, isWhole, width) {
  const corner = Math.min(CORNER * Math.min(w, h), 26);
  pen.beginPath();
  if (isWhole) pen.roundRect(x, y, w, h, 6);
  else {
    for (const [cx, cy, right, down] of [[x, y, 1, 1], [x + w, y, -1, 1], [x + w, y + h, -1, -1], [x, y + h, 1, -1]]) {
      pen.moveTo(cx, cy + down * corner);
      pen.quadraticCurveTo(cx, cy, cx + right * corner, cy);
    }
  }
  pen.lineCap = "round";
  for (const [stroke, wide] of [["rgb(0 0 0 / 0.45)", width + 2], [colour, width]]) {
    pen.strokeStyle = stroke;
    pen.lineWidth = wide;
    pen.stroke();
  }
}

/** A name at the top of a box, inside it where there is no room above. */
function tag(pen, text, [x, y], colour) {
  pen.font = `600 12px ${FONT}`;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const wide = pen.measureText(text).width + 14;
  const top = y > 26 ? y - 24 : Math.max(y, 0) + 4;
  pen.fillStyle = colour;
  pen.beginPath();
  pen.roundRect(Math.max(x, 2), top, wide, 20, 6);
  pen.fill();
  pen.fillStyle = "#10201a";
  pen.fillText(text, Math.max(x, 2) + 7, top + 10.5);
}

if (parent !== window) app.chooser = new Chooser(app);
