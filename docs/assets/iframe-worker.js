/* Browsers start no Worker for a page that was opened as a file. Search needs one: here its script
   runs in a hidden frame instead, with the same two ways to talk. */
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.ready = new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.hidden = true;
        frame.srcdoc = "<!doctype html><title>worker</title>";
        frame.addEventListener("load", () => {
          const inside = frame.contentWindow;
          const load = (src) => new Promise((done, fail) => {
            const script = inside.document.createElement("script");
            Object.assign(script, { src, onload: done, onerror: fail });
            inside.document.head.append(script);
          });
          inside.importScripts = (...urls) =>
            urls.reduce((before, src) => before.then(() => load(src)), Promise.resolve());
          inside.postMessage = (data) => {
            const event = new MessageEvent("message", { data });
            this.dispatchEvent(event);
            if (this.onmessage) this.onmessage(event);
          };
          load(String(url)).then(() => resolve(inside));
        }, { once: true });
        document.body.append(frame);
      });
    }
    postMessage(data) {
      this.ready.then((inside) =>
        inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }
    terminate() {}
  };
}
