// The camera: pictures go over a WebSocket, poses come back, and both are drawn together by the viewer's own code.

import { alarm, say } from "./notices.js";
import { byId } from "./parts.js";

const MOST_PX = 640; // longer side of pictures that are sent
const QUALITY = 0.8; // of their JPEG
const IN_FLIGHT = 2;
const KEPT = 40; // latencies that the shown one is the middle of
const SHOWN_MS = 500;

export class Camera {
  /** `query()`: options of a session; `opened()`, `closed()`; `recorded(file)`: a video was recorded. */
  constructor({ query, opened, closed, recorded }) {
    Object.assign(this, { query, opened, closed, recorded, isOpen: false, stream: null, socket: null, live: null });
    this.video = byId("camera-video");
    this.canvas = document.createElement("canvas");
    byId("camera-close").addEventListener("click", () => {
      this.close();
      this.closed();
      byId("camera-open").focus();
    });
    byId("camera-record").addEventListener("click", () => this.record());
    byId("camera-device").addEventListener("change", () => this.choose());
  }

  /** Ask for the camera, and begin. */
  async open(device = null) {
    if (this.isOpen) return;
    if (!navigator.mediaDevices) {
      alarm("The browser lends the camera only to https pages, or to those of this machine.");
      return;
    }
    this.isOpen = true;
    const wanted = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: false, video: device ? { ...wanted, deviceId: { exact: device } } : wanted,
      });
    } catch (error) {
      this.isOpen = false;
      alarm({
        NotAllowedError: "The camera was not allowed. The browser's address bar has a button for that.",
        NotFoundError: "No camera was found on this machine.",
        NotReadableError: "The camera is used by another program.",
      }[error.name] || `The camera cannot be used: ${error.message}`);
      return;
    }
    if (!this.isOpen) { this.stopStream(); return; }
    this.opened();
    this.video.srcObject = this.stream;
    await this.video.play();
    await this.listDevices();
    await this.loadView();
    if (this.isOpen) this.connect();
  }

  /** End camera, connection and view. */
  close() {
    if (!this.isOpen) return;
    this.isOpen = false;
    if (this.recorder) this.record();
    if (this.socket) this.socket.close();
    this.stopStream();
    Object.assign(this, { socket: null, live: null });
    byId("live").removeAttribute("src");
  }

  stopStream() {
    for (const track of this.stream?.getTracks() || []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  async listDevices() {
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput");
    const box = byId("camera-device");
    const used = this.stream?.getVideoTracks()[0].getSettings().deviceId;
    box.replaceChildren(...devices.map((each, place) => new Option(each.label || `Camera ${place + 1}`, each.deviceId)));
    box.value = used;
    box.hidden = devices.length < 2;
  }

  choose() {
    this.close();
    this.open(byId("camera-device").value);
  }

  loadView() {
    const view = byId("live");
    return new Promise((done) => {
      view.addEventListener("load", done, { once: true });
      view.src = "/live";
    });
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/live?${new URLSearchParams(this.query())}`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    Object.assign(this, { waiting: new Map(), latencies: [], drawn: [], isBusy: false, faults: "" });
    socket.addEventListener("message", (event) => {
      if (this.socket === socket) this.hear(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => {
      if (this.socket !== socket) return;
      const why = event.reason || (event.code === 1013 ? "the server has enough cameras to look at; try again later" : "the server ended the connection");
      this.close();
      this.closed();
      alarm(`Camera: ${why}`);
    });
    this.grabEach();
  }

  /** Send each new picture of the camera while not too many are on their way. */
  grabEach() {
    const { socket, video } = this;
    const next = () => {
      if (this.socket !== socket) return;
      if (this.live && socket.readyState === WebSocket.OPEN && this.waiting.size < IN_FLIGHT && !this.isBusy) this.send();
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
      else requestAnimationFrame(next);
    };
    next();
  }

  async send() {
    const { video, canvas, socket } = this;
    const { videoWidth, videoHeight } = video;
    if (!videoWidth) return;
    this.isBusy = true;
    const begun = performance.now() / 1000;
    const scale = Math.min(1, MOST_PX / Math.max(videoWidth, videoHeight));
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const [blob, picture] = await Promise.all([
      new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY)), createImageBitmap(canvas),
    ]);
    const jpeg = await blob.arrayBuffer();
    this.isBusy = false;
    if (this.socket !== socket || socket.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(8 + jpeg.byteLength);
    new DataView(message.buffer).setFloat64(0, begun, true);
    message.set(new Uint8Array(jpeg), 8);
    this.waiting.set(begun, picture);
    socket.send(message);
  }

  hear(answer) {
    if (answer.hello) {
      this.live = byId("live").contentWindow.startLive(answer.hello);
      say("The camera is on");
      return;
    }
    const picture = this.waiting.get(answer.t);
    for (const [time, older] of this.waiting) { // those before it were passed over
      if (time > answer.t) continue;
      this.waiting.delete(time);
      if (older !== picture) older.close();
    }
    this.faults = answer.error || "";
    if (answer.error) { this.showFacts(performance.now()); return; }
    if (!picture || !this.live) return;
    const before = this.picture;
    this.picture = picture;
    this.live.show(picture, answer);
    byId("live").contentWindow.requestAnimationFrame(() => {
      if (before) before.close();
      const now = performance.now();
      this.latencies.push(now - 1000 * answer.t);
      this.drawn.push(now);
      if (this.latencies.length > KEPT) {
        this.latencies.shift();
        this.drawn.shift();
      }
      this.showFacts(now);
    });
  }

  showFacts(now) {
    if (now - (this.shownAt || 0) < SHOWN_MS) return;
    this.shownAt = now;
    if (this.faults) { byId("camera-facts").textContent = this.faults; return; }
    if (this.latencies.length < 3) return;
    const middle = [...this.latencies].sort((a, b) => a - b)[this.latencies.length >> 1];
    const rate = 1000 * (this.drawn.length - 1) / (this.drawn.at(-1) - this.drawn[0]);
    byId("camera-facts").textContent = `${Math.round(rate)} frames/s \u00b7 ${Math.round(middle)} ms from picture to drawing`;
  }

  /** Begin to record, or end it: the video is worked on like any other, and can be saved. */
  record() {
    const button = byId("camera-record");
    const words = byId("camera-record-words");
    if (this.recorder) {
      this.recorder.stop();
      this.recorder = null;
      button.setAttribute("aria-pressed", "false");
      words.textContent = "Record";
      return;
    }
    const parts = [];
    const type = ["video/webm;codecs=vp8", "video/webm", "video/mp4"].find((each) => MediaRecorder.isTypeSupported(each));
    const recorder = new MediaRecorder(this.stream, type ? { mimeType: type } : {});
    const begun = new Date();
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", () => {
      const kind = recorder.mimeType.split(";")[0];
      const stamp = begun.toLocaleString("sv").replace(" ", " at ").replaceAll(":", ".");
      const file = new File(parts, `camera ${stamp}.${kind === "video/mp4" ? "mp4" : "webm"}`, { type: kind });
      this.recorded(file);
    });
    recorder.start(1000);
    this.recorder = recorder;
    button.setAttribute("aria-pressed", "true");
    words.textContent = "Stop";
    say("Recording");
  }
}
