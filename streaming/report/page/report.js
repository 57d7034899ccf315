"use strict";
// Draws the timelines. All text is set as text; what the run said never becomes markup.

(() => {
    const ALL = JSON.parse(document.getElementById("data").textContent);
    const LEAST_S = 0.5; // that can be zoomed to
    const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
    const FLOOR_DBFS = -80;

    const css = (element, name) => getComputedStyle(element).getPropertyValue(name).trim();

    // Colours by name may be light-dark(...), which a canvas does not know: ask what becomes of them.
    const probe = document.body.appendChild(document.createElement("i"));
    probe.hidden = true;
    const colour = (text) => { probe.style.color = text; return getComputedStyle(probe).color; };

    function unpacked(numbers, unit) {
        const runs = [];
        for (let i = 0, before = 0; i < numbers.length; i += 3) {
            const start = before + numbers[i], end = start + numbers[i + 1];
            runs.push([start * unit, end * unit, numbers[i + 2]]);
            before = end;
        }
        return runs;
    }

    // The first run that ends after x.
    function firstAfter(runs, x) {
        let low = 0, high = runs.length;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (runs[middle][1] > x) high = middle; else low = middle + 1;
        }
        return low;
    }

    function clock(t, step) {
        const decimals = step < 1 ? 1 : 0, scale = 10 ** decimals;
        const total = Math.round(Math.abs(t) * scale) / scale;
        const h = Math.floor(total / 3600), m = Math.floor(total / 60) % 60, s = (total % 60).toFixed(decimals);
        const seconds = s.padStart(decimals ? 4 : 2, "0");
        return `${t < 0 ? "-" : ""}${h ? `${h}:${String(m).padStart(2, "0")}` : m}:${seconds}`;
    }

    class Timeline {
        constructor(section) {
            this.data = ALL[Number(section.dataset.source)];
            this.section = section;
            this.lines = section.querySelector(".lines");
            this.over = section.querySelector(".over");
            this.tip = section.querySelector(".tip");
            this.level = section.querySelector("[data-level]");
            this.ticks = section.querySelector("[data-ticks]");
            this.rows = [...section.querySelectorAll("[data-row]")].map((line) => ({
                line, name: line.dataset.name, canvas: line.querySelector("canvas"),
                runs: unpacked(this.data.rows[Number(line.dataset.row)], this.data.unit),
            }));
            this.from = 0;
            this.to = this.end = Math.max(this.data.end, LEAST_S);
            this.at = this.dragged = null;
            section.querySelector(".tools").addEventListener("click", (event) => this.act(event.target.dataset.do));
            for (const fold of section.querySelectorAll(".fold")) fold.addEventListener("click", () => this.fold(fold));
            this.listen();
            this.draw();
        }

        listen() {
            const lines = this.lines;
            lines.addEventListener("pointermove", (event) => this.point(event));
            lines.addEventListener("pointerleave", () => { this.at = null; this.hover(); });
            lines.addEventListener("pointerdown", (event) => {
                if (event.target.tagName !== "CANVAS" || event.button) return;
                this.dragged = this.x(event);
                if (event.pointerType === "mouse") lines.setPointerCapture(event.pointerId);
                this.point(event);
            });
            lines.addEventListener("pointerup", (event) => {
                const [a, b] = [this.dragged, this.x(event)].sort((one, other) => one - other);
                const far = this.dragged !== null && (b - a) / (this.to - this.from) > 0.01;
                this.dragged = null;
                if (far) this.show(a, b); else this.hover();
            });
            lines.addEventListener("pointercancel", () => { this.dragged = null; this.hover(); });
            lines.addEventListener("dblclick", (event) => { if (event.target.tagName === "CANVAS") this.act("whole"); });
            lines.addEventListener("wheel", (event) => {
                if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
                event.preventDefault();
                this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.x(event));
            }, { passive: false });
            lines.addEventListener("keydown", (event) => {
                const what = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "whole" }[event.key];
                if (!what || event.target !== lines || event.ctrlKey || event.metaKey || event.altKey) return;
                event.preventDefault();
                this.act(what);
            });
        }

        act(what) {
            const step = (this.to - this.from) / 4;
            if (what === "in") this.zoom(0.5);
            if (what === "out") this.zoom(2);
            if (what === "left") this.show(this.from - step, this.to - step);
            if (what === "right") this.show(this.from + step, this.to + step);
            if (what === "whole") this.show(0, this.end);
        }

        zoom(factor, around = (this.from + this.to) / 2) {
            const span = Math.min(this.end, Math.max(LEAST_S, (this.to - this.from) * factor));
            const share = (around - this.from) / (this.to - this.from);
            this.show(around - share * span, around + (1 - share) * span);
        }

        show(from, to) {
            const span = Math.min(this.end, Math.max(LEAST_S, to - from));
            this.from = Math.min(Math.max(0, from), this.end - span);
            this.to = this.from + span;
            this.draw();
        }

        fold(button) {
            const open = button.getAttribute("aria-expanded") !== "true";
            button.setAttribute("aria-expanded", String(open));
            for (let line = button.closest(".line").nextElementSibling; line?.classList.contains("beneath"); line = line.nextElementSibling) line.hidden = !open;
            this.draw();
        }

        x(event) {
            const box = this.over.getBoundingClientRect();
            const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
            return this.from + share * (this.to - this.from);
        }

        // Stream time of a place on the axis.
        stream(x) {
            let found = this.data.segments[0] || [0, 0];
            for (const segment of this.data.segments) { if (segment[0] > x + 1e-6) break; found = segment; }
            return found[1] + x - found[0];
        }

        point(event) {
            this.at = event.clientX < this.over.getBoundingClientRect().left ? null : this.x(event);
            this.hover();
        }

        // Drawing ------------------------------------------------------------------------------------------

        begin(canvas) {
            const scale = Math.max(window.devicePixelRatio || 1, 2), width = canvas.clientWidth, height = canvas.clientHeight;
            canvas.width = Math.round(width * scale);
            canvas.height = Math.round(height * scale);
            const pen = canvas.getContext("2d");
            pen.scale(scale, scale);
            return [pen, width, height, (x) => ((x - this.from) / (this.to - this.from)) * width];
        }

        draw() {
            this.look = { line: colour("var(--line)"), quiet: colour("var(--quiet)"), text: colour("var(--text)"),
                edge: colour("var(--edge)"), accent: colour("var(--accent)") };
            for (const row of this.rows) if (!row.line.hidden) this.drawRow(row);
            this.drawLevel();
            this.drawTicks();
            this.hover();
        }

        drawRow({ line, canvas, runs }) {
            const [pen, width, height, at] = this.begin(canvas);
            pen.fillStyle = this.look.line;
            pen.fillRect(0, height / 2 - 0.5, width, 1);
            const silent = line.classList.contains("c-silence");
            pen.fillStyle = silent ? this.look.edge : css(line, "--track").startsWith("light") ? this.look.quiet : css(line, "--track");
            pen.strokeStyle = this.look.text;
            const top = silent ? height * 0.4 : height * 0.16, tall = height - 2 * top;
            for (let i = firstAfter(runs, this.from); i < runs.length && runs[i][0] < this.to; i++) {
                const left = Math.max(-2, at(runs[i][0])), wide = Math.max(1, Math.min(width + 2, at(runs[i][1])) - left);
                pen.globalAlpha = 0.25 + 0.75 * (runs[i][2] / this.data.levels);
                pen.fillRect(left, top, wide, tall);
                pen.globalAlpha = 0.45;
                if (wide > 2 && !silent) pen.strokeRect(left + 0.5, top + 0.5, wide - 1, tall - 1);
            }
            pen.globalAlpha = 1;
        }

        drawLevel() {
            const [pen, width, height, at] = this.begin(this.level);
            const { step, mean, peak } = this.data.level;
            const y = (dbfs) => 4 + (height - 8) * (Math.max(FLOOR_DBFS, Math.min(0, dbfs)) / FLOOR_DBFS);
            pen.fillStyle = this.look.line;
            for (const dbfs of [0, -40, -80]) pen.fillRect(0, y(dbfs) - 0.5, width, 1);
            const first = Math.max(0, Math.floor(this.from / step));
            for (const [values, alpha] of [[peak, 0.35], [mean, 0.9]]) {
                pen.fillStyle = this.look.quiet;
                pen.globalAlpha = alpha;
                for (let i = first; i < mean.length && i * step < this.to; i++) {
                    if (values[i] === null) continue;
                    const left = at(i * step);
                    pen.fillRect(left, y(values[i]), Math.max(0.6, at((i + 1) * step) - left - (at(step) - at(0) > 6 ? 1 : 0)), height - 4 - y(values[i]));
                }
            }
            pen.globalAlpha = 1;
        }

        step(width) {
            const wanted = ((this.to - this.from) * 80) / Math.max(width, 1);
            return STEPS_S.find((step) => step >= wanted) || 86400 * Math.ceil(wanted / 86400);
        }

        // Places on the axis where stream time is a whole number of steps.
        places(width) {
            const step = this.step(width), found = [], segments = this.data.segments;
            for (let i = 0; i < segments.length; i++) {
                const [x0, t0] = segments[i], x1 = Math.min(this.to, i + 1 < segments.length ? segments[i + 1][0] : this.end);
                const from = Math.max(this.from, x0);
                for (let n = Math.ceil((t0 + from - x0) / step - 1e-9); x0 + n * step - t0 <= x1 + 1e-9 && found.length < 400; n++) found.push([x0 + n * step - t0, clock(n * step, step)]);
            }
            return found;
        }

        drawTicks() {
            const [pen, width, , at] = this.begin(this.ticks);
            pen.font = `13px ${css(document.documentElement, "--font")}`;
            pen.fillStyle = this.look.quiet;
            pen.textBaseline = "top";
            let free = 0;
            for (const [x, text] of this.places(width)) {
                const wide = pen.measureText(text).width, left = Math.min(width - wide, Math.max(0, at(x) - wide / 2));
                if (left < free) continue;
                pen.fillText(text, left, 6);
                free = left + wide + 12;
            }
        }

        hover() {
            const [pen, width, height, at] = this.begin(this.over);
            const bottom = height - this.ticks.clientHeight;
            pen.fillStyle = this.look.line;
            pen.globalAlpha = 0.6;
            for (const [x] of this.places(width)) pen.fillRect(Math.round(at(x)), 0, 1, bottom);
            pen.globalAlpha = 1;
            this.drawMarks(pen, at, bottom);
            if (this.dragged !== null && this.at !== null) {
                pen.fillStyle = this.look.accent;
                pen.globalAlpha = 0.2;
                pen.fillRect(at(this.dragged), 0, at(this.at) - at(this.dragged), bottom);
                pen.globalAlpha = 1;
            }
            this.tip.hidden = this.at === null;
            if (this.at === null) return;
            pen.fillStyle = this.look.text;
            pen.fillRect(at(this.at) - 0.5, 0, 1, bottom);
            this.tell(at(this.at), width);
        }

        drawMarks(pen, at, bottom) {
            for (const [kind, marks] of Object.entries(this.data.marks)) {
                pen.fillStyle = kind === "gap" ? this.look.quiet : this.look.accent;
                for (const [x] of marks) {
                    if (x < this.from || x > this.to) continue;
                    const left = Math.round(at(x));
                    if (kind === "gap") { pen.fillRect(left - 3, 0, 7, 4); pen.fillRect(left, 0, 1, 9); continue; }
                    for (let y = 0; y < bottom; y += 7) pen.fillRect(left, y, 1.5, kind === "generation" ? 7 : 3.5);
                    pen.fillRect(left - 3, 0, 7.5, 4);
                }
            }
        }

        tell(left, width) {
            const near = ((this.to - this.from) / Math.max(1, width)) * 4, said = [];
            for (const { line, name, runs } of this.rows) {
                if (line.hidden) continue;
                const run = runs[firstAfter(runs, this.at)];
                if (!run || run[0] > this.at) continue;
                const plain = line.classList.contains("heard");
                said.push(plain ? name : `${name}, sounding ${Math.round((100 * run[2]) / this.data.levels)} %`);
            }
            const level = this.data.level.mean[Math.floor(this.at / this.data.level.step)];
            if (level !== undefined && level !== null) said.push(`level ${Math.round(level)} dBFS`);
            for (const marks of Object.values(this.data.marks)) for (const [x, text] of marks) if (Math.abs(x - this.at) < near && said.length < 14) said.push(text);
            this.tip.replaceChildren(...[clock(this.stream(this.at), 0.1), ...said.slice(0, 14)].map((text) => {
                const line = document.createElement("p");
                line.textContent = text;
                return line;
            }));
            const room = this.lines.clientWidth - width, wide = this.tip.offsetWidth;
            const place = room + left + 14 + wide > this.lines.clientWidth ? room + left - wide - 14 : room + left + 14;
            this.tip.style.left = `${Math.max(0, place)}px`;
        }
    }

    const timelines = [...document.querySelectorAll(".timeline")].map((section) => new Timeline(section));
    const redraw = () => timelines.forEach((timeline) => timeline.draw());
    new ResizeObserver(redraw).observe(document.querySelector("main"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    matchMedia("print").addEventListener("change", redraw);
    window.addEventListener("beforeprint", redraw);
})();
