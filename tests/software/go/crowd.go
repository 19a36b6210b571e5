// Many connections, one after the other, each of another kind; which, is drawn by a seed: the same every time. Nothing is said of
// them. Without ports they are to servers of its own, with server.crt, ec.crt and their keys; in the working directory are also
// ca.crt, other.crt and client.crt. Words of a port: certificate (it asks for one).
package main

import (
	"crypto/tls"
	"fmt"
	"math/rand"
	"net"
	"strconv"
	"strings"
)

var suites = [][]uint16{
	nil,
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256},
}
var groups = [][]tls.CurveID{
	nil, {tls.X25519, tls.CurveP384}, {tls.CurveP256, tls.CurveP384}, {tls.CurveP384}, {tls.X25519MLKEM768, tls.X25519, tls.CurveP384},
	{tls.CurveP521, tls.CurveP384},
}
var protocols = [][]string{nil, {"h2", "http/1.1"}, {"http/1.1"}, {"nothing-of-this"}}
var names = []string{"server.test", "localhost", "127.0.0.1", "of.another.test"}

func pick[T any](draw *rand.Rand, from []T) T { return from[draw.Intn(len(from))] }

func ownServers() (ports []string) {
	for at, words := range []string{"", "tls1.2", "retry", "certificate", "certificate,tls1.2", "no-tickets", "ec", "ec,tls1.2", "alpn"} {
		name := "server"
		if strings.Contains(words, "ec") && !strings.Contains(words, "certificate") {
			name = "ec"
		}
		pair, err := tls.LoadX509KeyPair(name+".crt", name+".key")
		check(err)
		config := &tls.Config{Certificates: []tls.Certificate{pair}, CipherSuites: append([]uint16{}, allSuites()...)}
		for _, word := range strings.Split(words, ",") {
			switch word {
			case "tls1.2":
				config.MaxVersion = tls.VersionTLS12
			case "retry":
				config.CurvePreferences = []tls.CurveID{tls.CurveP384}
			case "certificate":
				config.ClientCAs, config.ClientAuth = pool("ca.crt"), tls.RequireAndVerifyClientCert
			case "no-tickets":
				config.SessionTicketsDisabled = true
			case "alpn":
				config.NextProtos = []string{"h2", "http/1.1"}
			}
		}
		port := strconv.Itoa(20100 + at)
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		check(err)
		go func() {
			for {
				raw, err := listener.Accept()
				check(err)
				go func() { _ = serve(tls.Server(raw, config), false) }()
			}
		}()
		ports = append(ports, port+","+words)
	}
	return ports
}

func allSuites() (ids []uint16) {
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, suite.ID)
	}
	return ids
}

// visit makes a connection, asks for a page, and reads some of what comes: with it come the tickets of TLS 1.3.
func visit(address string, config *tls.Config) error {
	raw, err := net.Dial("tcp", address)
	check(err)
	conn := tls.Client(raw, config)
	defer conn.Close()
	if err = conn.Handshake(); err == nil {
		fmt.Fprint(conn, "GET / HTTP/1.0\r\nHost: server.test\r\n\r\n")
		_, err = conn.Read(make([]byte, 64))
	}
	return err
}

func crowd(count, seed string, ports []string) {
	most, err := strconv.Atoi(count)
	check(err)
	number, err := strconv.ParseInt(seed, 10, 64)
	check(err)
	draw := rand.New(rand.NewSource(number))
	if len(ports) == 0 {
		ports = ownServers()
	}
	caches, failed := map[string]tls.ClientSessionCache{}, 0
	client, err := tls.LoadX509KeyPair("client.crt", "client.key")
	check(err)
	for at := range most {
		port, words, _ := strings.Cut(ports[at%len(ports)], ",")
		if caches[port] == nil || draw.Intn(6) == 0 {
			caches[port] = tls.NewLRUClientSessionCache(8)
		}
		config := &tls.Config{
			RootCAs: pool("ca.crt"), ServerName: pick(draw, names), CipherSuites: pick(draw, suites), NextProtos: pick(draw, protocols),
			CurvePreferences: pick(draw, groups), MinVersion: tls.VersionTLS12, ClientSessionCache: caches[port],
		}
		config.InsecureSkipVerify = config.ServerName == "of.another.test"
		switch draw.Intn(6) {
		case 0, 1:
			config.MaxVersion = tls.VersionTLS12
		case 2:
			config.MinVersion = tls.VersionTLS13
		case 3:
			config.MinVersion = tls.VersionTLS10
		}
		if strings.Contains(words, "certificate") && draw.Intn(5) > 0 {
			config.Certificates = []tls.Certificate{client}
		}
		if draw.Intn(16) == 0 {
			config.RootCAs, config.ClientSessionCache = pool("other.crt"), nil
		}
		if visit("127.0.0.1:"+port, config) != nil {
			failed++
		}
	}
	fmt.Println("connections", most, "failed", failed)
	if failed > most/2 {
		check(fmt.Errorf("nearly nothing works"))
	}
}
