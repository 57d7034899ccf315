// Search in a site that is opened from a disk. There browsers start no worker, in which the theme searches: this gives
// it a frame instead, with the three things of a worker that it uses. Served over HTTP, it does nothing.
"use strict"

if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inner = frame.contentWindow
      const script = this.inner.document.createElement("script")
      // What the worker says goes out by its own postMessage, and not to itself as in a frame.
      this.inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      script.onload = () => {
        this.ready = true
        this.waiting.splice(0).forEach(data => this.postMessage(data))
      }
      script.src = url
      this.inner.document.body.append(script)
    }

    postMessage(data) {
      if (this.ready) this.inner.dispatchEvent(new MessageEvent("message", { data }))
      else this.waiting.push(data)
    }
  }
  window.Worker = window.IFrameWorker
}
