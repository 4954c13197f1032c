// How photos and videos come in: chosen, dropped or pasted, here and over the viewer inside this page.

import { byId } from "./parts.js";

/** Wire all ways; `take` gets the files. */
export function wireIntake(take) {
  const input = byId("files");
  for (const id of ["choose", "choose-first"]) byId(id).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take(Array.from(input.files));
    input.value = "";
  });
  wireWindow(window, take);
}

/** Drops and pasted pictures of one window go to `take`; without that a browser shows the file in place of the page. */
export function wireWindow(target, take) {
  const hasFiles = (event) => Array.from(event.dataTransfer?.types || []).includes("Files");
  target.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    byId("drop").hidden = false;
  });
  target.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) byId("drop").hidden = true;
  });
  target.addEventListener("drop", (event) => {
    byId("drop").hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    take(Array.from(event.dataTransfer.files));
  });
  target.addEventListener("paste", (event) => {
    const files = Array.from(event.clipboardData?.files || []);
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}
