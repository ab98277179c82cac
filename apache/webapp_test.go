package apache

import (
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"gitlab.com/review-executor/review-executor/review"
)

// webApp has what a web application has: assets, a manifest, a service worker, a form, a
// WebSocket and an event stream. It tries to set a cookie for the whole domain.
func webApp(t *testing.T, name string) review.Site {
	t.Helper()
	mux := http.NewServeMux()
	serve := func(path, kind, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Set-Cookie", name+"-by-header=1; Domain="+domain+"; Path=/")
			fmt.Fprint(w, body)
		})
	}
	serve("/{$}", "text/html", `<!doctype html><title>`+name+`</title>
		<link rel="stylesheet" href="/style.css"><link rel="manifest" href="/manifest.json"><link rel="icon" href="/image.png">
		<img src="/image.png" alt=""><script src="/script.js"></script>
		<form method="post" action="/form"><input id="field" name="field"><button id="send">Send</button></form>`)
	serve("/style.css", "text/css", "body { color: rgb(1, 2, 3) }")
	serve("/script.js", "text/javascript", `window.loaded = "yes"; document.cookie = "`+name+`-by-script=1; path=/"`)
	serve("/manifest.json", "application/manifest+json", `{"name":"`+name+`","start_url":"/","display":"standalone","icons":[{"src":"/image.png","sizes":"7x7","type":"image/png"}]}`)
	serve("/sw.js", "text/javascript", `
		self.addEventListener("install", () => self.skipWaiting())
		self.addEventListener("activate", e => e.waitUntil(self.clients.claim()))
		self.addEventListener("fetch", e => { if (e.request.url.endsWith("/from-the-worker")) e.respondWith(new Response("said by the worker")) })`)
	mux.HandleFunc("GET /image.png", func(w http.ResponseWriter, _ *http.Request) {
		_ = png.Encode(w, image.NewGray(image.Rect(0, 0, 7, 7)))
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><p id="sent">%s</p>`, strings.ToLower(r.FormValue("field")))
	})
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Authorization")) })
	mux.HandleFunc("GET /cookies", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Cookie")) })
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: one\n\ndata: two\n\n")
	})
	mux.Handle("GET /socket", websocket.Handler(func(socket *websocket.Conn) {
		var text string
		if websocket.Message.Receive(socket, &text) == nil {
			_ = websocket.Message.Send(socket, "echo "+text)
		}
	}))
	return answers(t, name, mux.ServeHTTP)
}
