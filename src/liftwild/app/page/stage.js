// The middle of the page: an invitation, work that goes on, a result with the viewer, or the camera.

import { byId, clock, count } from "./parts.js";
import { setShare } from "./shelf.js";

const STAGES = ["empty", "busy", "result", "camera"];

/** Show one of `STAGES` alone. */
export function showStage(name) {
  for (const each of STAGES) byId(each).hidden = each !== name;
}

/** Show an item as far as it is; null: nothing is there. */
export function showItem(item) {
  if (item === null) {
    showStage("empty");
    leaveView();
  } else if (item.state === "done") showResult(item);
  else showWork(item);
}

/** A link that saves what the page itself recorded. */
function offerSaving(link, item) {
  link.hidden = !item.isOwn;
  if (!item.isOwn) return;
  item.address ??= URL.createObjectURL(item.file);
  Object.assign(link, { href: item.address, download: item.name });
}

function showWork(item) {
  showStage("busy");
  leaveView();
  const hasFailed = item.state === "failed";
  byId("busy").classList.toggle("failed", hasFailed);
  byId("busy-name").textContent = item.name;
  const words = byId("busy-words");
  if (hasFailed) words.setAttribute("role", "alert");
  else words.removeAttribute("role");
  words.textContent = item.words;
  byId("busy-bar").hidden = hasFailed;
  setShare(byId("busy-bar"), item.share);
  offerSaving(byId("busy-save"), item);
  byId("busy-again").hidden = !hasFailed || !item.file;
  byId("busy-end").textContent = hasFailed ? "Remove" : "Cancel";
  const picture = byId("busy-picture");
  picture.hidden = item.picture === null;
  if (item.picture !== null && picture.getAttribute("src") !== item.picture) picture.src = item.picture;
}

function showResult(item) {
  showStage("result");
  const { document } = item;
  byId("result-name").textContent = item.name;
  const seconds = document.kind === "clip" && document.fps ? document.frames / document.fps : 0;
  byId("result-facts").textContent = [
    document.people.length ? count(document.people.length, "person", "people") : "Nobody was found",
    `${document.width} \u00d7 ${document.height}`,
    ...(seconds ? [clock(seconds)] : []),
    ...(item.query.box ? ["in your box"] : []),
  ].join(" \u00b7 ");
  const notes = document.notes || [];
  byId("result-notes").hidden = !notes.length;
  byId("result-notes").textContent = notes.join(" ");
  byId("result-report").hidden = !document.links.report;
  if (document.links.report) byId("result-report").href = document.links.report;
  offerSaving(byId("result-save"), item);
  byId("result-again").hidden = !item.file;
  byId("result-download").disabled = !Object.keys(document.links.files || {}).length;
  const view = byId("view");
  if (view.getAttribute("src") !== document.links.view) view.src = document.links.view;
}

/** Let go of the viewer, which computes and listens as long as it is there. */
function leaveView() {
  const view = byId("view");
  if (view.hasAttribute("src")) view.removeAttribute("src");
}
