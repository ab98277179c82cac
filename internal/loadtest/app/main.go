// Command app is what a load test deploys. It makes a redeploy as hard as an
// app may: on its stop signal it ends at once, whatever is under way, and it
// closes connections that it has just said it would keep.
//
//	/                  the release that answers
//	/stream?seconds=N  a line every tenth of a second, then "end"
//	/socket            an upgraded connection that echoes lines
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	http.HandleFunc("/{$}", answer)
	http.HandleFunc("/stream", stream)
	http.HandleFunc("/socket", socket)
	// Of the servers that are used with Apache, gunicorn has one of the shortest times, 2 s.
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), IdleTimeout: 20 * time.Millisecond, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}

func answer(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "answered by %s\n", os.Getenv("HOSTNAME"))
}

func stream(w http.ResponseWriter, r *http.Request) {
	seconds, _ := strconv.Atoi(r.FormValue("seconds"))
	for i := range seconds * 10 {
		fmt.Fprintf(w, "line %d\n", i)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Fprintln(w, "end")
}

func socket(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "no upgrade", http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := fmt.Fprint(conn, line); err != nil {
			return
		}
	}
}
