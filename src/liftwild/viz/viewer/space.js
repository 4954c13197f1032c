// The 3D panel: people, their floor, and the words over them. Inside three.js: metres, y up, z towards the camera.

const GRID_STEPS_MM = [500, 1000, 2000, 5000, 10000];
const MOST_CELLS = 16;
const FIELD_DEG = 30;
const BONE_M = 0.016;
const JOINT_M = 0.025;
const ANKLE_M = 0.08; // above the sole
const SOLE_M = [0.11, 0.008, 0.11]; // of the mark below a foot that is on the floor
const POLL_MS = 4; // how often is asked whether a drawing is done
const FOLLOW_S = 0.3; // before and after, for where a person is who is followed

class Space {
  constructor(canvas, words, data, state) {
    this.canvas = canvas;
    this.words = words.getContext("2d");
    this.data = data;
    this.state = state;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.renderer.shadowMap.enabled = true;
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(FIELD_DEG, 1, 0.05, 500);
    this.controls = new THREE.OrbitControls(this.camera, canvas);
    this.controls.maxPolarAngle = Math.PI * 0.96;
    this.controls.minDistance = 0.3;
    this.controls.maxDistance = 200;
    this.sphere = new THREE.SphereGeometry(1, 20, 14);
    this.tube = new THREE.CylinderGeometry(1, 1, 1, 16, 1, true);
    this.sky = new THREE.HemisphereLight(0xffffff, 0xb4b8c0, Math.PI);
    this.lamp = new THREE.DirectionalLight(0xffffff, 0.25);
    this.lamp.castShadow = true;
    this.lamp.shadow.mapSize.set(1024, 1024);
    this.lamp.shadow.radius = 5;
    this.lamp.shadow.bias = -0.0005;
    this.scene.add(this.sky, this.lamp, this.lamp.target);
    this.bodies = [];
    this.filled = FILLED;
    this.measureButtons();
    this.meet();
    this.look("start");
  }

  /** Draw all for a quarter of its cost, from the next people on: without shadows, and with fewer facets. */
  simplify() {
    this.sphere = new THREE.SphereGeometry(1, 10, 7);
    this.tube = new THREE.CylinderGeometry(1, 1, 1, 8, 1, true);
    this.lamp.castShadow = false;
  }

  /** Make room for the people that the data holds now. */
  meet() {
    const { data } = this;
    for (const body of this.bodies) this.scene.remove(body.group);
    this.slots = data.placed ? null : sideBySide(data.people);
    this.measure();
    this.setColours();
    this.bodies = data.people.map((person) => this.makeBody(person));
  }

  /** Where a joint is in the scene, in m. */
  at(index, row, joint) {
    const person = this.data.people[index];
    const [x, y, z] = person.offset(row, joint);
    const [left, up, away] = this.standing(index, row);
    return new THREE.Vector3(x / 1000 + left, -y / 1000 + up, -z / 1000 + away);
  }

  /** Where a person's pelvis is in the scene, in m. */
  standing(index, row) {
    const pelvis = this.data.people[index].pelvis(row);
    return pelvis === null ? this.slots.shift[index] : [pelvis[0] / 1000, -pelvis[1] / 1000, -pelvis[2] / 1000];
  }

  /** The box about all that is ever shown, and the floor below it. */
  measure() {
    const lowest = [];
    const points = [];
    for (const index of this.state.lasting) {
      const person = this.data.people[index];
      const stride = Math.max(1, Math.floor(person.frames.length / 1500));
      for (let row = 0; row < person.frames.length; row += stride) {
        const own = person.joints.map((_, joint) => this.at(index, row, joint).toArray()).filter(known);
        points.push(...own);
        if (own.length) lowest.push(Math.min(...own.map((point) => point[1])));
      }
    }
    this.points = withoutStrays(points);
    const low = [0, 1, 2].map((axis) => this.points.reduce((least, point) => Math.min(least, point[axis]), Infinity));
    const high = [0, 1, 2].map((axis) => this.points.reduce((most, point) => Math.max(most, point[axis]), -Infinity));
    this.empty = lowest.length === 0;
    if (this.empty) { low.fill(-0.5); high.fill(0.5); lowest.push(-0.5); }
    // A few frames with a joint far below must not lower the floor.
    lowest.sort((a, b) => a - b);
    this.level = this.data.levelled ? 0 : lowest[Math.floor(0.02 * lowest.length)];
    low[1] = Math.min(this.level, high[1]);
    this.low = new THREE.Vector3(...low);
    this.high = new THREE.Vector3(...high);
    const wide = Math.max(high[0] - low[0], high[2] - low[2]) * 1000;
    this.step = GRID_STEPS_MM.find((step) => wide / step <= MOST_CELLS) || GRID_STEPS_MM.at(-1);
    this.ticks = [0, 2].map((axis) => {
      const step = this.step / 1000;
      let first = Math.floor(low[axis] / step);
      let last = Math.ceil(high[axis] / step);
      while (last - first < 2) {
        if (low[axis] - first * step < last * step - high[axis]) first--;
        else last++;
      }
      const count = Math.min(last - first, 400);
      return Array.from({ length: count + 1 }, (_, i) => (first + i) * step);
    });
  }

  setColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => new THREE.Color(style.getPropertyValue(name).trim());
    this.ink = style.getPropertyValue("--ink").trim();
    this.faint = style.getPropertyValue("--faint").trim();
    this.room = style.getPropertyValue("--room").trim();
    this.scene.background = colour("--room");
    this.scene.fog = new THREE.Fog(colour("--room"), 1, 100);
    this.paints = {};
    const lift = Number(style.getPropertyValue("--lift"));
    for (const side of ["left", "right", "middle"]) {
      const own = new THREE.Color(this.data.look[side]).multiplyScalar(side === "right" ? 1 : lift);
      const pale = own.clone().lerp(this.scene.background, 0.62);
      this.paints[side] = [own, pale].map((color) => new THREE.MeshLambertMaterial({ color }));
    }
    this.layFloor(colour("--line"), Number(style.getPropertyValue("--shadow")));
  }

  layFloor(colour, darkness) {
    if (this.floor) this.scene.remove(this.floor);
    this.floor = new THREE.Group();
    const [xs, zs] = this.ticks;
    const ends = [...xs.map((x) => [x, zs[0], x, zs.at(-1)]), ...zs.map((z) => [xs[0], z, xs.at(-1), z])];
    const points = ends.flatMap(([x0, z0, x1, z1]) => [x0, this.level, z0, x1, this.level, z1]);
    const lines = new THREE.BufferGeometry();
    lines.setAttribute("position", new THREE.Float32BufferAttribute(points, 3));
    this.floor.add(new THREE.LineSegments(lines, new THREE.LineBasicMaterial({ color: colour })));
    const width = xs.at(-1) - xs[0];
    const depth = zs.at(-1) - zs[0];
    const plane = new THREE.Mesh(
      new THREE.PlaneGeometry(width + 4, depth + 4), new THREE.ShadowMaterial({ opacity: darkness }));
    plane.rotation.x = -Math.PI / 2;
    plane.position.set((xs[0] + xs.at(-1)) / 2, this.level - 0.002, (zs[0] + zs.at(-1)) / 2);
    plane.receiveShadow = true;
    plane.visible = this.lamp.castShadow;
    this.floor.add(plane);
    this.scene.add(this.floor);
    const reach = Math.max(width, depth, this.high.y - this.level) / 2 + 1;
    this.lamp.target.position.copy(plane.position);
    this.lamp.position.set(plane.position.x, this.level + Math.max(4, this.high.y - this.level + 2), plane.position.z + 0.01);
    Object.assign(this.lamp.shadow.camera, { left: -reach, right: reach, top: reach, bottom: -reach, near: 0.1, far: 60 });
    this.lamp.shadow.camera.updateProjectionMatrix();
  }

  makeBody(person) {
    const group = new THREE.Group();
    const mesh = (geometry) => {
      const made = new THREE.Mesh(geometry, this.paints.middle[0]);
      made.castShadow = true;
      group.add(made);
      return made;
    };
    const body = {
      group,
      joints: person.joints.map(() => mesh(this.sphere)),
      bones: person.bones.map(() => mesh(this.tube)),
      soles: person.contacts ? person.feet.map(() => mesh(this.sphere)) : [],
    };
    body.soles.forEach((mark) => mark.scale.set(...SOLE_M));
    this.scene.add(group);
    return body;
  }

  /** People as they are in the state's frame. */
  update() {
    this.bodies.forEach((body, index) => {
      const row = this.state.rowOf(index);
      body.group.visible = row >= 0;
      if (row < 0) { body.places = null; return; }
      const person = this.data.people[index];
      const pale = this.state.isPale(index);
      body.places = person.joints.map((_, joint) => this.at(index, row, joint));
      const seen = body.places.map((place) => known(place.toArray()));
      const sure = person.joints.map((_, joint) => person.isSure(row, joint));
      body.joints.forEach((mesh, joint) => {
        mesh.visible = seen[joint];
        if (!seen[joint]) return;
        mesh.position.copy(body.places[joint]);
        mesh.scale.setScalar(sure[joint] ? JOINT_M : JOINT_M * 0.75);
        mesh.material = this.paints[person.sides[joint]][pale || !sure[joint] ? 1 : 0];
      });
      const standing = person.standingFeet(row);
      body.soles.forEach((mark, side) => {
        const foot = person.feet[side];
        mark.visible = standing.includes(foot) && seen[foot];
        if (!mark.visible) return;
        const { x, y, z } = body.places[foot];
        mark.position.set(x, Math.max(this.level, y - ANKLE_M), z); // not all stand on the floor
        mark.material = this.paints[person.sides[foot]][pale ? 1 : 0];
      });
      person.bones.forEach(([child, parent], bone) => {
        const mesh = body.bones[bone];
        mesh.visible = seen[child] && seen[parent];
        if (!mesh.visible) return;
        const along = body.places[child].clone().sub(body.places[parent]);
        const length = along.length();
        const firm = sure[child] && sure[parent];
        mesh.position.copy(body.places[parent]).addScaledVector(along, 0.5);
        mesh.scale.set(firm ? BONE_M : BONE_M * 0.45, Math.max(length, 1e-6), firm ? BONE_M : BONE_M * 0.45);
        if (length > 1e-6) mesh.quaternion.setFromUnitVectors(new THREE.Vector3(0, 1, 0), along.divideScalar(length));
        mesh.material = this.paints[person.sides[child]][pale || !firm ? 1 : 0];
      });
    });
    this.follow();
  }

  /** The camera goes with a person, without the jitter of the place: at its mean over a short while. */
  follow() {
    const leader = this.state.leader();
    if (leader !== this.leader) this.followed = null;
    this.leader = leader;
    const row = leader === null ? -1 : this.state.rowOf(leader);
    if (row < 0) return;
    const { frames } = this.data.people[leader];
    const reach = this.data.interval > 0 ? Math.round(FOLLOW_S / this.data.interval) : 0;
    const place = new THREE.Vector3();
    let count = 0;
    for (let other = Math.max(row - reach, 0); other <= Math.min(row + reach, frames.length - 1); other++) {
      const own = this.standing(leader, other);
      if (Math.abs(frames[other] - frames[row]) > reach || !known(own)) continue;
      place.add(new THREE.Vector3(...own));
      count++;
    }
    if (!count) return;
    place.divideScalar(count);
    if (this.followed) {
      const step = place.clone().sub(this.followed);
      this.camera.position.add(step);
      this.controls.target.add(step);
      this.controls.update();
    }
    this.followed = place;
  }

  /** Look from "front", "side", "top", "start" or "here" at the person that the camera follows, or at all. */
  look(from) {
    const leader = this.state.leader();
    const places = (leader !== null && this.bodies && this.bodies[leader].places || []).map((place) => place.toArray()).filter(known);
    const isCrowd = this.slots !== null && this.slots.rows > 1;
    const now = this.camera.position.clone().sub(this.controls.target).normalize();
    const [yaw, pitch] = {
      front: [0, 4], side: [90, 4], top: [0, 89.9], start: isCrowd ? [12, 28] : [28, 12],
      here: [Math.atan2(now.x, now.z), Math.asin(now.y)].map((angle) => angle * 180 / Math.PI),
    }[from].map((deg) => deg * Math.PI / 180);
    const back = new THREE.Vector3(Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch));
    const right = new THREE.Vector3(Math.cos(yaw), 0, -Math.sin(yaw));
    const all = this.empty ? [this.low.toArray(), this.high.toArray()] : this.points;
    const { target, distance } = fitView(places.length ? places : all, back, right, this.camera.aspect, this.clear / this.canvas.clientHeight, this.filled);
    this.controls.target.copy(target);
    this.camera.position.copy(target).addScaledVector(back, distance);
    this.controls.update();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(width, height, false);
    Object.assign(this.words.canvas, { width: width * ratio, height: height * ratio });
    this.words.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.camera.aspect = width / height;
    this.measureButtons();
    this.camera.updateProjectionMatrix();
  }

  /** How far down the buttons reach, px. */
  measureButtons() {
    const { offsetTop, offsetHeight } = this.canvas.parentElement.querySelector(".tools");
    this.clear = offsetTop + offsetHeight;
  }

  /** A place of the scene in px of the panel, or null if it is behind the camera. */
  project(place) {
    const seen = place.clone().project(this.camera);
    if (!(seen.z < 1)) return null;
    return [(seen.x + 1) / 2 * this.canvas.clientWidth, (1 - seen.y) / 2 * this.canvas.clientHeight];
  }

  /** All joints that are shown: {person, joint, at: [x, y] px of the panel}. */
  shownJoints() {
    return this.bodies.flatMap((body, person) => (body.places || []).flatMap((place, joint) => {
      const at = known(place.toArray()) ? this.project(place) : null;
      return at ? [{ person, joint, at }] : [];
    }));
  }

  /** Put what the 3D canvas shows, which no printer gets, under the words. */
  still() {
    this.render();
    const { words } = this;
    words.save();
    words.globalCompositeOperation = "destination-over";
    words.drawImage(this.canvas, 0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    words.restore();
  }

  /** Until what was rendered last is there, not only asked for. */
  async rendered() {
    const gl = this.renderer.getContext();
    const mark = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (mark && gl.clientWaitSync(mark, 0, 0) === gl.TIMEOUT_EXPIRED) await new Promise((next) => setTimeout(next, POLL_MS));
    gl.deleteSync(mark);
  }

  render() {
    const distance = this.camera.position.distanceTo(this.controls.target);
    const reach = Math.max(this.high.distanceTo(this.low), 1);
    this.scene.fog.near = Math.max(0.1, distance - 0.3 * reach);
    this.scene.fog.far = distance + 2.5 * reach;
    this.renderer.render(this.scene, this.camera);
    drawWords(this);
  }
}
