// The page: what is shown of the recording, and everything that changes it.

const byId = (id) => document.getElementById(id);
const SPEEDS = Array.from(byId("speed").options, (option) => Number(option.value));
const NEAR_PX = { mouse: 14, pen: 18, touch: 28 };
const KEYS = [
  ["space", "play, pause"], ["\u2190 \u2192", "one frame back, on; with shift ten"], ["Home End", "first, last frame"],
  ["+ \u2212", "faster, slower"], ["1 to 9", "pick a person; 0 all of them"], ["F S T R", "from the front, side, top; as at the start"],
  ["C", "the camera follows a person"], ["L", "trails of the joints"], ["N", "names of the joints"], ["B", "skeletons on the picture"], ["?", "this page"],
];

class App {
  constructor(data) {
    this.data = data;
    this.state = new State(data);
    this.picture = new Picture(byId("picture-canvas"), byId("picture-note"), data, this.state, () => this.draw());
    this.describe();
    try {
      this.space = new Space(byId("space-canvas"), byId("space-words"), data, this.state);
    } catch (error) {
      console.warn(error);
      byId("space-note").textContent = "The 3D view needs WebGL, which this browser does not offer.";
      byId("space-note").hidden = false;
    }
    this.people = new PeopleList(byId("people"), this);
    this.trails = new TrailChoice(byId("trails"), this);
    this.wirePlayer();
    this.wireViews();
    this.wirePointing(byId("picture-canvas"), this.picture);
    if (this.space) this.wirePointing(byId("space-canvas"), this.space);
    window.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("click", (event) => {
      // A button that was clicked, not typed at, gives the keys back.
      const button = event.target.closest("button");
      if (button && event.detail > 0) button.blur();
    });
    window.addEventListener("beforeprint", () => { if (this.space) this.space.still(); });
    window.addEventListener("afterprint", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      if (this.space) this.space.setColours();
      this.show();
    });
    this.turned = false; // the user chose a view, which stays when the panel's size changes
    new ResizeObserver(() => this.resize()).observe(byId("panels"));
  }

  describe() {
    const { data } = this;
    byId("source").textContent = data.source;
    const [many, brief] = [this.state.lasting.length, data.people.length - this.state.lasting.length];
    const people = `${many} ${many === 1 ? "person" : "people"}${brief ? `, ${brief} more for under 0.5 s` : ""}`;
    const length = data.clip ? ` \u00b7 ${data.frames} frames, ${clock(data.times.at(-1) || 0)}` : "";
    byId("summary").textContent = `${people}${data.width ? ` \u00b7 ${data.width} \u00d7 ${data.height} px` : ""}${length}`;
    for (const side of ["left", "right"]) document.querySelector(`.legend .${side}`).style.background = data.look[side];
    const placed = data.levelled ? "zero on the floor below the camera" : "zero at the camera";
    const axes = data.levelled ? "x right, y down in the room, z away" : "x right, y down, z away from the camera";
    this.frameWords = `Numbers in mm, ${data.placed ? placed : "zero at each person's pelvis"}: ${axes}`;
    if (!data.people.length) {
      byId("space-note").textContent = data.clip ? "No person was found in this clip" : "No person was found in this photo";
      byId("space-note").hidden = false;
    }
    fillAbout(byId("about-text"), data, KEYS);
  }

  wirePlayer() {
    const { data, state } = this;
    if (!data.clip) return;
    byId("player").hidden = false;
    byId("scrub").max = Math.max(0, data.frames - 1);
    byId("scrub").addEventListener("input", () => this.go(Number(byId("scrub").value)));
    byId("play").addEventListener("click", () => this.play(!state.playing));
    byId("speed").addEventListener("change", () => { state.speed = Number(byId("speed").value); });
  }

  play(on) {
    const { data, state } = this;
    if (!data.clip || data.frames < 2 || on === state.playing) return;
    state.playing = on;
    byId("play").classList.toggle("playing", on);
    byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
    if (!on) return;
    if (state.frame >= data.frames - 1) this.go(0);
    let before = null;
    let time = data.times[state.frame];
    // The last frame is shown as long as the one before it.
    const end = 2 * data.times.at(-1) - data.times.at(-2);
    const tick = (now) => {
      if (!state.playing) return;
      if (this.jumped) { time = data.times[state.frame]; this.jumped = false; }
      // A tab that slept goes on where it was.
      if (before !== null) time += Math.min(now - before, 250) / 1000 * state.speed;
      before = now;
      if (!(time < end)) time = data.times[0];
      const frame = lastUpTo(data.times, time);
      if (frame !== state.frame) { state.frame = frame; this.show(); }
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  go(frame) {
    this.state.frame = Math.min(Math.max(frame, 0), this.data.frames - 1);
    this.jumped = true;
    this.show();
  }

  wireViews() {
    for (const from of ["front", "side", "top"]) byId(from).addEventListener("click", () => this.look(from));
    byId("reset").addEventListener("click", () => this.look("start"));
    byId("follow").addEventListener("click", () => this.follow());
    byId("names").addEventListener("click", () => this.toggle("names"));
    byId("bones").addEventListener("click", () => this.toggle("bones"));
    byId("about-open").addEventListener("click", () => byId("about").showModal());
    if (!this.space) return;
    this.space.controls.addEventListener("change", () => this.draw());
    this.space.controls.addEventListener("start", () => { this.turned = true; });
  }

  look(from) {
    if (!this.space) return;
    this.turned = from !== "start";
    this.space.look(from);
    this.draw();
  }

  /** The camera goes with a person, or no more. */
  follow() {
    const { state } = this;
    state.follow = !state.follow;
    this.show();
    if (this.space && state.follow) this.look("here");
  }

  toggle(what) {
    this.state[what] = !this.state[what];
    byId(what).setAttribute("aria-pressed", this.state[what]);
    this.draw();
  }

  /** Joints of a panel are named when the mouse is near, or a finger taps. */
  wirePointing(canvas, panel) {
    let pressed = null;
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      this.pointAt(panel, [event.clientX - box.left, event.clientY - box.top], NEAR_PX[event.pointerType] || 14, event);
    };
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch" && event.buttons === 0) point(event);
      else if (pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 6) pressed = null;
    });
    canvas.addEventListener("pointerdown", (event) => {
      pressed = [event.clientX, event.clientY];
      this.forget();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (pressed) point(event);
      pressed = null;
    });
    canvas.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") this.forget(); });
  }

  pointAt(panel, [x, y], near, event) {
    const { state } = this;
    let best = null;
    for (const found of panel.shownJoints()) {
      const far = Math.hypot(found.at[0] - x, found.at[1] - y) + (state.isPale(found.person) ? 6 : 0);
      if (far <= near && (!best || far < best.far)) best = { ...found, far };
    }
    if (!best) { this.forget(); return; }
    state.hover = { person: best.person, joint: best.joint };
    this.tipAt = [event.clientX, event.clientY];
    this.draw();
  }

  forget() {
    if (!this.state.hover) return;
    this.state.hover = null;
    this.draw();
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || byId("about").open) return;
    const focused = document.activeElement;
    if (focused.tagName === "SELECT" || (focused.tagName === "BUTTON" && ["Enter", " "].includes(event.key))) return;
    const { state, data } = this;
    const step = event.shiftKey ? 10 : 1;
    const faster = (by) => {
      const place = Math.min(Math.max(SPEEDS.indexOf(state.speed) + by, 0), SPEEDS.length - 1);
      state.speed = SPEEDS[place];
      byId("speed").selectedIndex = place;
    };
    const own = {
      " ": () => this.play(!state.playing), ArrowLeft: () => this.go(state.frame - step),
      ArrowRight: () => this.go(state.frame + step), Home: () => this.go(0), End: () => this.go(data.frames - 1),
      "+": () => faster(1), "=": () => faster(1), "-": () => faster(-1), "0": () => this.people.pick(null),
      f: () => this.look("front"), s: () => this.look("side"), t: () => this.look("top"), r: () => this.look("start"),
      c: () => this.follow(), l: () => this.trails.toggle(), n: () => this.toggle("names"), b: () => this.toggle("bones"), "?": () => byId("about").showModal(),
      Escape: () => this.forget(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const number = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
    if (own) own();
    else if (number >= 0 && number < state.listed.length && data.people.length > 1) this.people.pick(state.listed[number]);
    else return;
    event.preventDefault();
  }

  resize() {
    const { data } = this;
    const panels = byId("panels");
    const [width, height] = [panels.clientWidth, panels.clientHeight];
    if (data.width) {
      const aspect = data.width / data.height;
      // The picture gets the room that its shape needs, the poses the rest and never less than two fifths.
      const wanted = Math.min(Math.max(height * aspect / width, 0.25), 0.6);
      panels.style.setProperty("--columns", `${wanted}fr ${1 - wanted}fr`);
      const rows = Math.min(Math.max(width / aspect / height, 0.2), 0.45);
      panels.style.setProperty("--rows", `${rows}fr ${1 - rows}fr`);
    } else { // poses that were in no picture, as of a BVH
      byId("picture").hidden = true;
      for (const name of ["--columns", "--rows"]) panels.style.setProperty(name, "1fr");
    }
    this.picture.resize();
    if (this.space) {
      this.space.resize();
      if (!this.turned) this.space.look("start");
    }
    this.show();
  }

  /** Show the state's frame. */
  show() {
    const { data, state } = this;
    this.picture.update();
    if (this.space) this.space.update();
    if (data.clip) {
      byId("scrub").value = state.frame;
      const time = clock(data.times[state.frame] || 0);
      byId("scrub").setAttribute("aria-valuetext", `frame ${state.frame}, ${time}`);
      byId("time").textContent = `${time}  #${state.frame}`;
    }
    this.people.show();
    if (this.report) this.report.show();
    if (this.chooser) this.chooser.show();
    byId("follow").setAttribute("aria-pressed", state.follow);
    this.draw();
  }

  /** Draw both panels, or the picture alone, before the next picture of the screen. */
  draw(withSpace = true) {
    const { data } = this;
    this.spaceIsDue = this.spaceIsDue || withSpace;
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.picture.render();
      if (this.space && this.spaceIsDue) this.space.render();
      this.spaceIsDue = false;
      const grid = this.space ? `; floor grid ${this.space.step} mm${data.levelled ? "" : ", at the lowest joint"}` : "";
      const words = this.frameWords + grid;
      if (byId("frame").textContent !== words) byId("frame").textContent = words; // else it is painted anew
      showTip(byId("tip"), this);
      document.body.dataset.frame = this.state.frame; // what is on the screen, for tests
    });
  }
}

const app = new App(readRecording());
