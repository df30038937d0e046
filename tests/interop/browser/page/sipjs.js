import { Inviter, Registerer, SessionState, UserAgent, Web } from "./dist/sip.js";

export class Phone {
  constructor({ server, domain, user, password }, audio, happened) {
    this.audio = audio;
    this.happened = happened;
    this.domain = domain;
    const factory = Web.defaultSessionDescriptionHandlerFactory(async () => audio.microphone());
    this.ua = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${domain}`),
      transportOptions: { server },
      authorizationUsername: user,
      authorizationPassword: password,
      sessionDescriptionHandlerFactory: factory,
      // Its own default is a STUN server, which it waits five seconds for when it cannot be reached; the SBC needs none.
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onInvite: (invitation) => {
          this.began(invitation);
          happened("incoming");
        },
        onDisconnect: () => happened("disconnected"),
      },
    });
    this.registerer = new Registerer(this.ua, { expires: 600 });
    this.registerer.stateChange.addListener((state) => happened(state.toLowerCase()));
    this.ua.start().then(() => this.registerer.register());
  }

  began(session) {
    this.session = session;
    session.delegate = {
      onSessionDescriptionHandler: (handler) =>
        handler.peerConnection.addEventListener("track", ({ track }) => this.audio.listen(track)),
    };
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) this.happened("answered");
      if (state === SessionState.Terminated) this.happened("ended");
    });
  }

  call(number) {
    const inviter = new Inviter(this.ua, UserAgent.makeURI(`sip:${number}@${this.domain}`));
    this.began(inviter);
    inviter.invite({
      requestDelegate: {
        onProgress: ({ message }) => message.statusCode > 100 && this.happened("ringing"),
        onReject: ({ message }) => this.happened(`failed: ${message.statusCode}`),
      },
    });
  }

  answer() {
    this.session.accept();
  }

  hangUp() {
    const { state } = this.session;
    if (state === SessionState.Established) this.session.bye();
    else if (this.session instanceof Inviter) this.session.cancel();
    else this.session.reject();
  }

  hold() {
    this.renegotiate(true).then(() => this.happened("held"));
  }

  resume() {
    this.renegotiate(false).then(() => this.happened("resumed"));
  }

  renegotiate(hold) {
    return new Promise((resolve, reject) => {
      this.session.sessionDescriptionHandlerOptionsReInvite = { hold };
      this.session.invite({ requestDelegate: { onAccept: resolve, onReject: reject } }).catch(reject);
    });
  }

  digits(tones) {
    this.connection.getSenders()[0].dtmf.insertDTMF(tones);
  }

  get connection() {
    return this.session.sessionDescriptionHandler.peerConnection;
  }
}
