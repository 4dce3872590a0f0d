// The peer of B3: a server on Centrifuge, the library that Centrifugo 6 is made of, with its memory broker and JSON
// over a plain WebSocket. One channel, to which every connection is subscribed at connecting, and Centrifugo's HTTP
// call to publish. No history, no positions, nothing on disk: the least that it can do for a broadcast.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net/http"

	"github.com/centrifugal/centrifuge"
)

const channel = "news"

type publication struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

func main() {
	address := flag.String("address", "127.0.0.1:8000", "where to listen")
	flag.Parse()
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError, LogHandler: logError})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(_ context.Context, event centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{UserID: event.ClientID},
			Subscriptions: map[string]centrifuge.SubscribeOptions{channel: {}},
		}, nil
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	http.HandleFunc("/api/publish", func(answer http.ResponseWriter, request *http.Request) { publish(node, answer, request) })
	http.HandleFunc("/health", func(answer http.ResponseWriter, _ *http.Request) { write(answer, "{}") })
	log.Fatal(http.ListenAndServe(*address, nil))
}

func publish(node *centrifuge.Node, answer http.ResponseWriter, request *http.Request) {
	var given publication
	if err := json.NewDecoder(request.Body).Decode(&given); err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	if _, err := node.Publish(given.Channel, given.Data); err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
		return
	}
	write(answer, `{"result":{}}`)
}

func write(answer http.ResponseWriter, body string) {
	answer.Header().Set("Content-Type", "application/json")
	if _, err := answer.Write([]byte(body)); err != nil {
		log.Print(err)
	}
}

func logError(entry centrifuge.LogEntry) {
	log.Print(entry.Message, entry.Fields)
}
