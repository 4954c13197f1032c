// The results of this session: what was sent, what the server has of it, and the strip that shows them.

import { ask, askJson, follow, post } from "./api.js";
import { alarm, say } from "./notices.js";
import { byId, count, made } from "./parts.js";

const RETRY_S = 5; // where the server does not say when

/** One result: `document` of the server, null until it has it; `file`: what was sent, null after a reload. */
class Item {
  constructor(name, file, query) {
    Object.assign(this, { name, file, query, document: null, sent: 0, error: null, stop: null, removed: false });
    this.isOwn = false; // recorded by this page: nobody else has the file
    this.preview = null;
  }

  /** Have a preview of a photo that the browser can show; `changed` is called once it is there. */
  look(changed) {
    if (!this.file || !this.file.type.startsWith("image/")) return;
    const preview = made("img", { src: URL.createObjectURL(this.file) });
    preview.decode().then(() => {
      this.preview = preview.src;
      changed();
    }, () => URL.revokeObjectURL(preview.src));
  }

  get state() {
    if (this.error) return "failed";
    return this.document ? this.document.state : this.stop ? "sending" : "waiting";
  }

  get picture() { return this.preview || (this.document && this.document.links.picture) || null; }

  /** How much of the work is done, in [0, 1]; null where that is not known. */
  get share() {
    if (this.state === "sending") return this.sent < 1 ? this.sent : null;
    const { done, total } = this.document?.progress || {};
    return this.state === "working" && total && this.document.progress.stage === "frames" ? done / total : null;
  }

  /** The same with its name before it, which most errors of the server have already. */
  get line() { return this.words.startsWith(`${this.name}: `) ? this.words : `${this.name}: ${this.words}`; }

  /** What happens with it, in words. */
  get words() {
    const { progress, place } = this.document || {};
    switch (this.state) {
      case "waiting": return "Waits for its turn";
      case "sending": return this.sent < 1 ? `Sending, ${Math.round(100 * this.sent)} %` : "Finding people";
      case "queued": return place > 1 ? `Waits, ${count(place - 1, "other comes", "others come")} first` : "Begins";
      case "working":
        if (progress.stage === "finishing") return "Smoothing and writing";
        if (progress.stage !== "frames") return "Finding people";
        return progress.total ? `Finding people: frame ${progress.done} of ${progress.total}` : `Finding people: frame ${progress.done}`;
      case "failed": return this.error || this.document.error || "It failed, and the server does not say why.";
      default: return count(this.document.people.length, "person", "people");
    }
  }
}

export class Shelf {
  /** `changed(item)` is told of every change; `opened(item)` when one is to be shown. */
  constructor(changed, opened) {
    Object.assign(this, { items: [], current: null, changed, opened });
    this.toSend = [];
    this.isSending = false;
  }

  /** What the server has from before. */
  async load() {
    const { recordings } = await askJson("/v1/recordings");
    for (const document of recordings) {
      const item = new Item(document.name, null, {});
      item.document = document;
      this.items.push(item);
      if (document.state === "queued" || document.state === "working") this.follow(item);
    }
    this.show();
  }

  /** Send files, one after the other, and show the first of them. */
  add(files, query, isOwn = false) {
    const added = files.map((file) => new Item(file.name || "pasted picture", file, query));
    for (const item of added) {
      item.isOwn = isOwn;
      item.look(() => this.tell(item));
    }
    this.items.unshift(...[...added].reverse());
    this.toSend.push(...added);
    this.open(added[0]);
    if (added.length > 1) say(`${added.length} files, one after the other`);
    this.sendAll();
  }

  async sendAll() {
    if (this.isSending) return;
    this.isSending = true;
    while (this.toSend.length) {
      const item = this.toSend.shift();
      if (!item.removed) await this.send(item);
    }
    this.isSending = false;
  }

  async send(item) {
    const { done, abort } = post(item.file, { name: item.name, ...item.query }, (share) => {
      item.sent = share;
      this.tell(item);
    });
    item.stop = abort;
    this.tell(item);
    try {
      const document = await done;
      item.stop = null;
      if (item.removed) {
        await ask(document.links.self, { method: "DELETE" });
        return;
      }
      item.document = document;
      if (document.state === "queued" || document.state === "working") this.follow(item);
    } catch (error) {
      item.stop = null;
      if (item.removed) return;
      if (error.status === 429) { // full: it comes again, before those after it
        item.sent = 0;
        this.tell(item);
        say("The server is busy; it is tried again soon");
        await new Promise((go) => setTimeout(go, 1000 * (error.retryS || RETRY_S)));
        this.toSend.unshift(item);
        return;
      }
      item.error = error.message;
      this.alarmOf(item);
    }
    this.tell(item);
  }

  /** Say aloud that one failed; the one that is shown says so itself. */
  alarmOf(item) { if (item !== this.current) alarm(item.line); }

  follow(item) {
    item.stop = follow(item.document.links, (document) => {
      item.document = document;
      if (document.state === "done" || document.state === "failed") item.stop = null;
      if (document.state === "failed") this.alarmOf(item);
      this.tell(item);
    }, (error) => {
      item.stop = null;
      item.error = error.message;
      this.alarmOf(item);
      this.tell(item);
    });
  }

  tell(item) {
    const isOver = item.state === "done" || item.state === "failed";
    if (item === this.current) say(item.line, !isOver);
    this.show();
    this.changed(item);
  }

  open(item) {
    this.current = item;
    this.show();
    this.opened(item);
  }

  /** Remove one, here and on the server, and end its work. */
  async remove(item) {
    const place = this.items.indexOf(item);
    this.items.splice(place, 1);
    item.removed = true;
    for (const image of item.part.querySelectorAll("img")) image.removeAttribute("src"); // else it is still asked for
    if (item.stop) item.stop();
    if (item.preview) URL.revokeObjectURL(item.preview);
    if (item === this.current) this.open(this.items[Math.min(place, this.items.length - 1)] || null);
    this.show();
    const next = byId("shelf").children[Math.min(place, this.items.length - 1)];
    (next ? next.querySelector(".open") : byId("choose")).focus();
    say(`${item.name} is removed`);
    if (!item.document) return;
    try {
      await ask(item.document.links.self, { method: "DELETE" });
    } catch (error) {
      if (error.status !== 404) alarm(`${item.name}: ${error.message}`);
    }
  }

  /** Bring the strip up to date: elements stay, so that focus stays. */
  show() {
    const list = byId("shelf");
    byId("strip").hidden = this.items.length === 0;
    document.body.classList.toggle("filled", this.items.length > 0);
    for (const part of Array.from(list.children)) if (!this.items.includes(part.item)) part.remove();
    this.items.forEach((item, place) => {
      if (!item.part) item.part = this.makePart(item);
      if (list.children[place] !== item.part) list.insertBefore(item.part, list.children[place] || null);
      showPart(item, item === this.current);
    });
  }

  makePart(item) {
    const part = made("li");
    const open = made("button", { type: "button", className: "open" });
    const remove = made("button", { type: "button", className: "remove", title: "Remove" });
    remove.setAttribute("aria-label", `Remove ${item.name}`);
    open.addEventListener("click", () => this.open(item));
    open.addEventListener("keydown", (event) => { if (event.key === "Delete") this.remove(item); });
    remove.addEventListener("click", () => this.remove(item));
    part.append(open, remove);
    part.item = item;
    return part;
  }
}

function showPart(item, isCurrent) {
  const open = item.part.firstChild;
  item.part.classList.toggle("failed", item.state === "failed");
  open.setAttribute("aria-current", isCurrent);
  open.setAttribute("aria-label", item.line);
  open.title = item.line;
  const isOver = item.state === "done" || item.state === "failed";
  const badge = item.state === "failed" ? "Failed" : item.state === "done" ? (item.document.kind === "clip" ? "Video" : "") : "";
  const wanted = [isOver, item.picture, badge].join();
  if (open.dataset.shown !== wanted) {
    open.dataset.shown = wanted;
    open.replaceChildren(
      item.picture ? made("img", { src: item.picture, alt: "", loading: "lazy" }) : made("span", { textContent: isOver ? "" : "Video" }),
      ...(badge ? [made("span", { className: "badge", textContent: badge })] : []),
      ...(isOver ? [] : [made("progress", { max: 1 })]));
  }
  const bar = open.querySelector("progress");
  if (bar) setShare(bar, item.share);
}

/** A bar with a share in [0, 1], or null. */
export function setShare(bar, share) {
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}
