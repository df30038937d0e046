import JsSIP from "./dist/jssip.js";

export class Phone {
  constructor({ server, domain, user, password }, audio, happened) {
    this.audio = audio;
    this.happened = happened;
    this.domain = domain;
    const sockets = [new JsSIP.WebSocketInterface(server)];
    this.ua = new JsSIP.UA({ sockets, uri: `sip:${user}@${domain}`, password, register_expires: 600 });
    this.ua.on("registered", () => happened("registered"));
    this.ua.on("registrationFailed", ({ cause }) => happened(`registration failed: ${cause}`));
    this.ua.on("disconnected", () => happened("disconnected"));
    this.ua.on("newRTCSession", ({ session, originator }) => this.began(session, originator));
    this.ua.start();
  }

  began(session, originator) {
    this.session = session;
    session.on("accepted", () => this.happened("answered"));
    session.on("progress", () => this.happened("ringing"));
    session.on("ended", () => this.happened("ended"));
    session.on("failed", ({ cause }) => this.happened(`failed: ${cause}`));
    session.on("hold", () => this.happened("held"));
    session.on("unhold", () => this.happened("resumed"));
    const listen = (connection) => connection.addEventListener("track", ({ track }) => this.audio.listen(track));
    if (session.connection) listen(session.connection);
    else session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
    if (originator === "remote") this.happened("incoming");
  }

  call(number) {
    this.ua.call(`sip:${number}@${this.domain}`, { mediaStream: this.audio.microphone() });
  }

  answer() {
    this.session.answer({ mediaStream: this.audio.microphone() });
  }

  hangUp() {
    this.session.terminate();
  }

  hold() {
    this.session.hold();
  }

  resume() {
    this.session.unhold();
  }

  digits(tones) {
    this.session.sendDTMF(tones, { transportType: "RFC2833" });
  }

  get connection() {
    return this.session.connection;
  }
}
