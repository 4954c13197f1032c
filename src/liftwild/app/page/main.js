// The page, put together.

import { Camera } from "./camera.js";
import { openDownloads, wireDownloads } from "./downloads.js";
import { wireIntake, wireWindow } from "./intake.js";
import { alarm, clearAlarms, say } from "./notices.js";
import { byId } from "./parts.js";
import { query, wireSettings } from "./settings.js";
import { Shelf } from "./shelf.js";
import { showItem, showStage } from "./stage.js";

let picked = null; // the person who is chosen in the viewer

const shelf = new Shelf(
  (item) => {
    if (item !== shelf.current) return;
    remember(item);
    if (!camera.isOpen) showItem(item);
  },
  (item) => {
    camera.close();
    picked = null;
    remember(item);
    showItem(item);
  });

/** Keep what is shown in the address, for when the page is loaded anew. */
function remember(item) {
  const address = item && item.document ? `#${item.document.id}` : "";
  if (location.hash !== address) history.replaceState(null, "", address || location.pathname);
}

function take(files) {
  if (!files.length) return;
  clearAlarms();
  shelf.add(files, query());
}

const camera = new Camera({
  query: () => query(true),
  opened: () => showStage("camera"),
  closed: () => showItem(shelf.current),
  recorded: (file) => shelf.add([file], query(), true),
});

function wireResult() {
  byId("result-download").addEventListener("click", () => openDownloads(shelf.current.document, picked));
  byId("result-again").addEventListener("click", () => shelf.add([shelf.current.file], query()));
  byId("busy-again").addEventListener("click", () => {
    const { current } = shelf;
    clearAlarms();
    shelf.add([current.file], query());
    shelf.remove(current);
  });
  byId("busy-end").addEventListener("click", () => shelf.remove(shelf.current));
  for (const id of ["view", "live"]) {
    byId(id).addEventListener("load", () => {
      const { contentWindow } = byId(id);
      if (contentWindow.location.href !== "about:blank") wireWindow(contentWindow, take);
    });
  }
  window.addEventListener("message", (event) => {
    if (event.origin !== location.origin || event.source !== byId("view").contentWindow) return;
    if (event.data.picked !== undefined) {
      picked = event.data.picked;
      say(picked === null ? "Everybody is shown" : `Person ${picked} is chosen`);
    }
    if (event.data.box) lookInto(event.data.box);
  });
}

/** Look at the one person in a box of the picture that is shown. */
function lookInto(box) {
  const { file, name, document, query: before } = shelf.current;
  if (!file) {
    alarm(`${name}: the page has the file no more, since it was loaded anew. Add it again to draw a box.`);
    return;
  }
  clearAlarms();
  const { people, whole, ...rest } = { ...query(), ...before };
  shelf.add([file], { ...rest, box: box.join() });
  say(`The person in the box of ${document.name} is looked for`);
}

async function start() {
  wireIntake(take);
  wireDownloads();
  wireResult();
  for (const id of ["camera-open", "camera-first"]) byId(id).addEventListener("click", () => camera.open());
  showStage("empty");
  const [settings, results] = await Promise.allSettled([wireSettings(), shelf.load()]);
  for (const each of [settings, results]) if (each.status === "rejected") alarm(each.reason.message);
  const wanted = shelf.items.find((item) => item.document && `#${item.document.id}` === location.hash);
  const first = wanted || shelf.items.at(0);
  if (first && shelf.current === null) shelf.open(first);
  document.body.dataset.ready = "yes";
}

start();
