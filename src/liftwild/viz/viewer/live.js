// People who are seen now: the page's picture and poses change with each message of `show`.

const REST = 2; // after a drawing in 3D, for so many times as long as it took, until the next one: the picture goes first
const LIVE_FILLED = 0.62; // of the panel, by people when they are met: they may move before the view is measured anew
const LOOSE_M = 0.35; // outside what was measured, from which on the view is measured anew

/** What a page with a camera calls, in place of a recording that does not change. */
class Live {
  constructor(app, skeleton) {
    this.app = app;
    this.dueMs = 0; // from when on 3D is drawn again
    this.skeleton = skeleton; // {joint_names, parents}
    document.documentElement.classList.add("live");
    app.state.follow = false;
    if (app.space) app.space.filled = LIVE_FILLED;
    if (app.space && BY_PROCESSOR) app.space.simplify();
    byId("space-note").textContent = "Nobody is seen yet";
    byId("summary").textContent = "";
  }

  /** Show `picture` (anything that a canvas can draw) and the people that were found in it. */
  show(picture, { width, height, people }) {
    const { app } = this;
    const { data, state, space } = app;
    let isMet = false;
    const isNewSize = data.width !== width || data.height !== height;
    Object.assign(data, { width, height });
    const placed = people.length > 0 && people.every((person) => person.root !== null);
    const before = data.people.map((person) => person.id).join();
    data.people = people.map((person) => this.personOf(person, placed));
    const isOther = before !== data.people.map((person) => person.id).join() || (placed !== data.placed && people.length > 0);
    if (people.length) data.placed = placed;
    if (isOther) {
      const all = data.people.map((_, index) => index);
      data.lasting = state.lasting = state.listed = all;
      state.focus = state.hover = null;
      state.hidden.clear();
    }
    app.picture.decoded.set(0, picture);
    data.pictures.frames = [0];
    app.picture.shown = 0;
    if (space && people.length && (isOther || this.isOutside(space))) {
      space.meet();
      isMet = true;
    } else if (space && isOther) {
      for (const body of space.bodies) space.scene.remove(body.group);
      space.bodies = [];
    }
    byId("space-note").hidden = !space || people.length > 0;
    app.picture.say("");
    app.frameWords = `Numbers in mm, zero at ${data.placed ? "the camera" : "each person's pelvis"}: x right, y down, z away from the camera`;
    if (isNewSize) app.resize();
    else if (space && (isOther || isMet || performance.now() >= this.dueMs)) {
      space.update();
      if (isMet && !app.turned) space.look("start");
      this.drawAll();
    } else app.draw(false);
  }

  /** Draw both panels, and 3D not again before it has rested. */
  drawAll() {
    const { app } = this;
    this.dueMs = Infinity;
    app.draw();
    requestAnimationFrame(async (begunMs) => {
      await app.space.rendered();
      const nowMs = performance.now();
      this.dueMs = nowMs + REST * (nowMs - begunMs);
    });
  }

  personOf({ id, joints, mm, root }, placed) {
    const points = joints.map(([x, y]) => [x, y]);
    const low = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
    const high = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
    return new Person({
      id, joints: this.skeleton.joint_names, parents: this.skeleton.parents, frames: [0],
      boxes: [...low, high[0] - low[0], high[1] - low[1]], joints2d: points.flat(), joints3d: mm.flat(),
      confidence: joints.map((joint) => joint[2]), spread: null, inside: null, visible: null,
      root: placed ? root : null, contacts: null, filled: null,
    }, this.app.data.look);
  }

  /** Whether somebody stands clearly outside what the view was measured for. */
  isOutside(space) {
    return this.app.data.people.some((person, index) => {
      const [x, y, z] = space.standing(index, 0);
      return [[x, "x"], [y, "y"], [z, "z"]].some(([value, axis]) =>
        value < space.low[axis] - LOOSE_M || value > space.high[axis] + LOOSE_M);
    });
  }
}

window.startLive = (skeleton) => new Live(app, skeleton);
