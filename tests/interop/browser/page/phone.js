// One phone in a page, made with ?stack=jssip or ?stack=sipjs; what it does is called through `phone`, what happens stands in `events`.
import { Audio } from "./audio.js";

const settings = Object.fromEntries(new URLSearchParams(location.search));
window.events = [];
window.audio = await Audio.open(Number(settings.tone));
const { Phone } = await import(`./${settings.stack}.js`);
window.phone = new Phone(settings, window.audio, (event) => window.events.push(event));
