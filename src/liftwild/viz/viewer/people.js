// Who is shown: what the page knows of its moment, and the list of people.

const MANY = 8; // people whose labels are long, most

/** What is shown: the frame, who is picked (an index or null), hidden or pointed at. */
class State {
  constructor(data) {
    this.data = data;
    this.frame = 0;
    this.playing = false;
    this.speed = 1;
    this.focus = null;
    this.follow = false;
    this.hidden = new Set();
    this.hover = null;
    this.names = false;
    this.bones = true;
    this.trail = ""; // the joint whose trail is drawn, "all", or ""
    this.lasting = data.lasting;
    this.listed = this.lasting; // or everybody, on request
  }

  /** The row of a person in this frame, -1 if absent or hidden. */
  rowOf(index) { return this.isShown(index) ? this.data.people[index].at(this.frame) : -1; }

  isShown(index) { return this.listed.includes(index) && !this.hidden.has(index); }

  isPale(index) { return this.focus !== null && this.focus !== index; }

  label(index) { return `Person ${this.data.people[index].id}`; }

  /** The same where there are many. */
  shortLabel(index) { return this.listed.length > MANY ? String(this.data.people[index].id) : this.label(index); }

  /** Whom the camera goes with: who was picked, else who is there the longest; null if it stands. */
  leader() {
    if (!this.follow) return null;
    if (this.focus !== null) return this.focus;
    const length = (index) => this.data.people[index].frames.length;
    return this.listed.filter((index) => this.isShown(index))
      .reduce((best, index) => (best === null || length(index) > length(best) ? index : best), null);
  }
}

/** The buttons of several people: pick one, hide one, and show those who are there briefly. */
class PeopleList {
  constructor(box, app) {
    this.box = box;
    this.app = app;
    this.chips = [];
    if (app.data.people.length > 1) this.fill();
  }

  fill() {
    const { box, app: { state, data } } = this;
    const button = (words, title, click) => {
      const made = document.createElement("button");
      Object.assign(made, { type: "button", textContent: words, title });
      made.addEventListener("click", click);
      return made;
    };
    box.hidden = false;
    box.replaceChildren(button("All", "Nobody picked, nobody hidden (0)", () => this.pick(null)));
    this.chips = state.listed.map((index) => {
      const chip = document.createElement("span");
      chip.append(
        button(state.shortLabel(index), `Pick ${state.label(index)}: others go pale, the view follows`, () => this.pick(index)),
        button("Hide", `Hide ${state.label(index)}`, () => {
          if (!state.hidden.delete(index)) state.hidden.add(index);
          if (state.focus === index) this.forget();
          this.app.show();
        }));
      box.append(chip);
      return { chip, index };
    });
    const brief = data.people.length - state.lasting.length;
    if (!brief) return;
    const isOpen = state.listed !== state.lasting;
    const more = button(`${brief} brief`, "People who are there for under half a second: rather none", () => {
      state.listed = isOpen ? state.lasting : data.people.map((_, index) => index);
      if (!state.listed.includes(state.focus)) this.forget();
      this.fill();
      this.app.show();
    });
    more.setAttribute("aria-pressed", isOpen);
    box.append(more);
  }

  forget() {
    this.app.state.focus = null;
    this.app.state.follow = false;
  }

  /** Pick a person, or with null or who is picked already, all. */
  pick(index) {
    const { state, data, space } = this.app;
    if (index === null) state.hidden.clear();
    state.focus = index === state.focus ? null : index;
    state.follow = state.focus !== null;
    state.hidden.delete(index);
    if (state.focus !== null && state.rowOf(index) < 0) {
      // Somebody who is not there now: the nearest frame with them.
      const near = data.people[index].frames.reduce((best, frame) =>
        (Math.abs(frame - state.frame) < Math.abs(best - state.frame) ? frame : best));
      this.app.go(near);
    }
    this.app.show();
    if (space) { space.look("start"); this.app.draw(); }
  }

  show() {
    const { state, data } = this.app;
    for (const { chip, index } of this.chips) {
      chip.classList.toggle("absent", data.people[index].at(state.frame) < 0);
      chip.firstChild.classList.toggle("away", state.hidden.has(index));
      chip.firstChild.setAttribute("aria-pressed", state.focus === index);
      chip.lastChild.textContent = state.hidden.has(index) ? "Show" : "Hide";
    }
  }
}
