// A tone to speak with, and ears: everything heard of all calls, one after the other, as samples of 16 bits at 8000 Hz.

const RATE = 8000;
const EARS = `
  registerProcessor("ears", class extends AudioWorkletProcessor {
    process([[samples]]) {
      if (samples) this.port.postMessage(samples.slice());
      return true;
    }
  });`;

export class Audio {
  static async open(frequency) {
    const context = new AudioContext({ sampleRate: RATE });
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([EARS], { type: "text/javascript" })));
    return new Audio(context, frequency);
  }

  constructor(context, frequency) {
    this.context = context;
    this.pieces = 0;
    this.heard = [];
    const tone = new OscillatorNode(context, { frequency });
    const quieter = new GainNode(context, { gain: 0.25 });
    this.voice = new MediaStreamAudioDestinationNode(context);
    tone.connect(quieter).connect(this.voice);
    tone.start();
  }

  // A track of its own for every call: a phone stops the track when its call ends.
  microphone() {
    return this.voice.stream.clone();
  }

  listen(track) {
    const stream = new MediaStream([track]);
    document.getElementById("speaker").srcObject = stream; // without a player Chromium decodes nothing
    const ears = new AudioWorkletNode(this.context, "ears", { numberOfOutputs: 0 });
    ears.port.onmessage = ({ data }) => this.heard.push(data);
    new MediaStreamAudioSourceNode(this.context, { mediaStream: stream }).connect(ears);
    this.pieces += 1;
  }

  // What was heard since the last time, in base64.
  take() {
    const samples = Int16Array.from(this.heard.splice(0).flatMap((block) => Array.from(block, (sample) => sample * 32767)));
    let octets = "";
    for (const octet of new Uint8Array(samples.buffer)) octets += String.fromCharCode(octet);
    return btoa(octets);
  }
}
