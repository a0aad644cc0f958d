// What the header says of the streams and the clocks. Takes data and returns text.

import {duration, utcClock} from "../state/time.js";

// `behind`: the workers whose stream is lost
export function streamsInWords(behind, nameOf) {
  return behind.map((worker) => `${worker.state === "offline" ? "no data from" : "reconnecting to"} ${nameOf(worker)} since ${utcClock(worker.behindSinceUs)}`).join("; ");
}

export function clocksInWords({errorUs, correctionUs}) {
  if (errorUs === null) return "";
  return correctionUs
    ? `This browser’s clock is ${duration(Math.abs(correctionUs))} ${correctionUs > 0 ? "ahead of" : "behind"} the server’s: “clicked” is corrected by it.`
    : `The clocks of browser and server agree within ${duration(errorUs)}.`;
}
