// What the server is asked, and what it says when it refuses.

/** A request that was refused: one line of why, and after how many seconds it may be tried again (or null). */
export class Refused extends Error {
  constructor(line, status, retryS = null) {
    super(line);
    this.status = status;
    this.retryS = retryS;
  }
}

function refused(status, text, retryAfter) {
  let line;
  try {
    line = JSON.parse(text).detail;
  } catch {
    line = null;
  }
  const retryS = retryAfter === null ? null : Number(retryAfter);
  return new Refused(line || `The server answers with an error (${status}).`, status, retryS);
}

const GONE = "The server does not answer. Is it still running?";

/** The answer to a request; Refused if it is an error, or none comes. */
export async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Refused(GONE, 0);
  }
  if (!response.ok) throw refused(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

export async function askJson(address) { return (await ask(address)).json(); }

/** Post a file as a recording; `sent` is told the share that went out. Gives {done: a promise of the document, abort}. */
export function post(file, query, sent) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", `/v1/recordings?${new URLSearchParams(query)}`);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) sent(event.loaded / event.total); });
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(refused(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => reject(new Refused(GONE, 0)));
    request.addEventListener("abort", () => reject(new Refused("Cancelled.", -1)));
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}

// Browsers open six connections to a server, and each stream holds one: the rest must do for all else, in several tabs.
const MOST_STREAMS = 2;
const POLL_MS = 2000;
let streams = 0;

const isOver = (document) => document.state === "done" || document.state === "failed";

/** Tell `told` of a recording whenever it changes, until it is over; gives a function that ends it. */
export function follow(links, told, failed) {
  let source = null;
  let timer = 0;
  let ended = false;
  const closeStream = () => {
    if (source === null) return;
    source.close();
    source = null;
    streams -= 1;
  };
  const end = () => {
    ended = true;
    closeStream();
    clearTimeout(timer);
  };
  const tell = (document) => {
    if (ended) return;
    if (isOver(document)) end();
    told(document);
  };
  const poll = async () => {
    try {
      tell(await askJson(links.self));
    } catch (error) {
      if (ended) return;
      end();
      failed(error);
      return;
    }
    if (!ended) timer = setTimeout(streams < MOST_STREAMS ? listen : poll, POLL_MS);
  };
  const listen = () => {
    if (streams >= MOST_STREAMS) {
      poll();
      return;
    }
    streams += 1;
    source = new EventSource(links.events);
    source.addEventListener("state", (event) => tell(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      // While it connects anew, nothing is to do; where the server has enough of listeners, it is asked now and then.
      if (source === null || source.readyState !== EventSource.CLOSED) return;
      closeStream();
      poll();
    });
  };
  listen();
  return end;
}

/** The name that an answer gives its file. */
export function fileNameOf(response) {
  const found = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("Content-Disposition") || "");
  return found ? decodeURIComponent(found[1]) : "poses";
}
