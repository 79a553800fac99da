// Frames of a clip, or pictures of faces -> what a peer reads in them, as lines of JSON on stdout.
//
//     node node_peers.cjs PEER frames FRAMES.npy FPS
//     node node_peers.cjs PEER pictures PICTURES.npy
//
// Run in the folder that holds the peer's node_modules. It says what python_peers.py, beside it,
// says. TensorFlow.js computes in WebAssembly.

'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');

const BATCH = 64;
const fromHere = createRequire(path.join(process.cwd(), 'adapter.js'));
const folder = (name) => path.join(process.cwd(), 'node_modules', name);
const answer = (value) => fs.writeSync(1, JSON.stringify(value) + '\n');
console.log = console.error; // stdout holds answers alone

// Of NumPy's format: shape of an array of bytes, and where it begins.
function header(file) {
  const start = Buffer.alloc(10);
  fs.readSync(file, start, 0, 10, 0);
  const length = start.readUInt16LE(8);
  const text = Buffer.alloc(length);
  fs.readSync(file, text, 0, length, 10);
  const shape = /'shape': \(([^)]*)\)/.exec(text.toString())[1];
  return { shape: shape.split(',').filter((part) => part.trim()).map(Number), begin: 10 + length };
}

// Each picture as Int32Array of RGB, from BGR or gray, one at a time.
function* pictures(name) {
  const file = fs.openSync(name);
  const { shape: [count, height, width, channels = 1], begin } = header(file);
  const bytes = Buffer.alloc(height * width * channels);
  for (let index = 0; index < count; index += 1) {
    fs.readSync(file, bytes, 0, bytes.length, begin + index * bytes.length);
    const pixels = new Int32Array(height * width * 3);
    for (let i = 0; i < height * width; i += 1) {
      for (let colour = 0; colour < 3; colour += 1) {
        pixels[3 * i + colour] = bytes[channels === 1 ? i : 3 * i + 2 - colour];
      }
    }
    yield { pixels, shape: [height, width, 3] };
  }
}

async function tensorflow() {
  const tf = fromHere('@tensorflow/tfjs');
  const wasm = path.join(folder('@tensorflow/tfjs-backend-wasm'), 'dist/');
  fromHere('@tensorflow/tfjs-backend-wasm').setWasmPaths(wasm);
  await tf.setBackend('wasm');
  await tf.ready();
  return { tf, wasm };
}

// The detector is the tiny one, which its authors recommend for webcams.
async function faceApi() {
  const { tf } = await tensorflow();
  const root = folder('@vladmandic/face-api');
  const api = fromHere(path.join(root, 'dist/face-api.node-wasm.js'));
  await api.nets.tinyFaceDetector.loadFromDisk(path.join(root, 'model'));
  await api.nets.faceExpressionNet.loadFromDisk(path.join(root, 'model'));
  const options = new api.TinyFaceDetectorOptions();
  const likeliest = (expressions) => expressions.asSortedArray()[0].expression;
  return {
    frame: async ({ pixels, shape }) => {
      const image = tf.tensor3d(pixels, shape, 'int32');
      const found = await api.detectAllFaces(image, options).withFaceExpressions();
      image.dispose();
      return found.map(({ detection: { box }, expressions }) => (
        [box.x, box.y, box.width, box.height, likeliest(expressions)]));
    },
    label: async ({ pixels, shape }) => {
      const image = tf.tensor3d(pixels, shape, 'int32');
      const expressions = await api.nets.faceExpressionNet.predictExpressions(image);
      image.dispose();
      return likeliest(expressions);
    },
  };
}

// As human's network orders them.
const EMOTIONS = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];

// Its own defaults, less what is not asked for: body, hands, who it is, age, iris and the like.
async function human() {
  const { tf, wasm } = await tensorflow();
  const root = folder('@vladmandic/human');
  // Without a browser, models come from a server or, as here, through a handler of one's own.
  const load = async (url) => {
    const name = url.replace('file://', '');
    const model = JSON.parse(fs.readFileSync(name));
    const weights = model.weightsManifest.flatMap(({ paths }) => (
      paths.map((part) => fs.readFileSync(path.join(path.dirname(name), part)))));
    const joined = Buffer.concat(weights);
    const data = joined.buffer.slice(joined.byteOffset, joined.byteOffset + joined.length);
    return {
      ...model,
      weightSpecs: model.weightsManifest.flatMap((part) => part.weights),
      weightData: data,
    };
  };
  tf.io.registerLoadRouter((url) => (
    String(url).startsWith('file://') ? { load: () => load(url) } : null));
  const off = { enabled: false };
  const { Human } = fromHere(path.join(root, 'dist/human.node-wasm.js'));
  const reader = new Human({
    backend: 'wasm',
    wasmPath: wasm,
    modelBasePath: `file://${root}/models/`,
    body: off,
    hand: off,
    gesture: off,
    object: off,
    segmentation: off,
    face: { mesh: off, iris: off, description: off, antispoof: off, liveness: off },
  });
  await reader.load();
  const likeliest = (face) => face.emotion.reduce((a, b) => (b.score > a.score ? b : a)).emotion;
  return {
    frame: async ({ pixels, shape }) => {
      const image = tf.tensor3d(pixels, shape, 'int32');
      const { face } = await reader.detect(image);
      image.dispose();
      return face.filter(({ emotion }) => emotion && emotion.length)
        .map((each) => [...each.box, likeliest(each)]);
    },
    // It shows no face to its network but what its detector found; so the network is asked itself.
    label: async ({ pixels, shape }) => {
      const probabilities = tf.tidy(() => {
        const network = reader.models.models.emotion;
        const [, height, width] = network.inputs[0].shape;
        const image = tf.tensor4d(pixels, [1, ...shape], 'float32');
        const gray = tf.image.resizeBilinear(image, [height, width]).slice([0, 0, 0, 0], [-1, -1, -1, 1]);
        return network.execute(gray.div(127.5).sub(1));
      });
      const place = (await probabilities.argMax(1).data())[0];
      probabilities.dispose();
      return EMOTIONS[place];
    },
  };
}

const PEERS = { 'face-api': faceApi, human };

async function main() {
  const [name, task, file] = process.argv.slice(2);
  const peer = await PEERS[name]();
  if (task === 'pictures') {
    let labels = [];
    for (const picture of pictures(file)) {
      labels.push(await peer.label(picture));
      if (labels.length === BATCH) {
        answer({ labels });
        labels = [];
      }
    }
    if (labels.length) answer({ labels });
    return;
  }
  for (const picture of pictures(file)) {
    const began = performance.now();
    const cpu = process.cpuUsage();
    const faces = await peer.frame(picture);
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    answer({ seconds, cpu: (user + system) / 1e6, faces });
  }
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  answer({ memory: Number(/VmHWM:\s*(\d+)/.exec(status)[1]) * 1024 });
}

main().catch((error) => {
  console.error(error.message || error);
  process.exit(1);
});
