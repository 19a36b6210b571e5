// A TLS server and client of Go's crypto/tls that says of each connection what crypto/tls itself knows of it, for tests to
// compare with. One line of JSON a connection, with the member names of a tls_handshake event.
//
//	peer server CERT KEY [OPTION]...
//	peer client ADDRESS CA SERVER_NAME [OPTION]...
//	peer loop CERT KEY            both in one process, until a line is read or a handshake fails
//	peer crowd COUNT SEED [PORT[,WORD]...]        many of many kinds, see crowd.go
//
// Options: tls1.2, tls1.3, alpn=A,B, client-ca=CA (server), cert=CERT key=KEY (client), twice (client: again, resuming),
// groups=ID,ID (the key exchanges to allow, by number).
package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

type report map[string]any

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func pool(path string) *x509.CertPool {
	pem, err := os.ReadFile(path)
	check(err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		check(fmt.Errorf("no certificates in %s", path))
	}
	return pool
}

func apply(config *tls.Config, options []string) (twice bool) {
	var cert, key string
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "tls1.2":
			config.MaxVersion = tls.VersionTLS12
		case "tls1.3":
			config.MinVersion = tls.VersionTLS13
		case "alpn":
			config.NextProtos = strings.Split(value, ",")
		case "client-ca":
			config.ClientCAs, config.ClientAuth = pool(value), tls.RequireAndVerifyClientCert
		case "cert":
			cert = value
		case "key":
			key = value
		case "groups":
			for _, word := range strings.Split(value, ",") {
				id, err := strconv.ParseUint(word, 0, 16)
				check(err)
				config.CurvePreferences = append(config.CurvePreferences, tls.CurveID(id))
			}
		case "twice":
			twice = true
		default:
			check(fmt.Errorf("unknown option %s", option))
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		check(err)
		config.Certificates = []tls.Certificate{pair}
	}
	return twice
}

func hexOf(id uint16) string { return fmt.Sprintf("0x%04x", id) }

// tell says what is known of a connection after its handshake, successful or not.
func tell(role string, conn *tls.Conn, err error) {
	local, remote := conn.LocalAddr().(*net.TCPAddr), conn.RemoteAddr().(*net.TCPAddr)
	said := report{
		"role": role, "pid": os.Getpid(), "local_address": local.IP.String(), "local_port": local.Port,
		"remote_address": remote.IP.String(), "remote_port": remote.Port,
	}
	if err != nil {
		said["error"] = err.Error()
	} else {
		state := conn.ConnectionState()
		said["version"] = tls.VersionName(state.Version)
		said["cipher_suite"], said["cipher_suite_id"] = tls.CipherSuiteName(state.CipherSuite), hexOf(state.CipherSuite)
		said["group_id"] = nil
		if state.CurveID != 0 {
			said["group_id"] = hexOf(uint16(state.CurveID))
		}
		said["server_name"] = state.ServerName
		said["resumed"] = state.DidResume
		said["negotiated_protocol"] = state.NegotiatedProtocol
		if role == "client" {
			digests := []string{}
			for _, certificate := range state.PeerCertificates {
				digest := sha256.Sum256(certificate.Raw)
				digests = append(digests, hex.EncodeToString(digest[:]))
			}
			said["certificates"] = digests
		}
	}
	line, err := json.Marshal(said)
	check(err)
	fmt.Println(string(line))
}

// serve answers one connection, whatever it asks for, and stays until the client goes.
func serve(conn *tls.Conn, told bool) error {
	defer conn.Close()
	err := conn.Handshake()
	if told {
		tell("server", conn, err)
	}
	if err == nil {
		if _, err = io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"); err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
	}
	return err
}

func connect(address string, config *tls.Config, told bool) error {
	raw, err := net.Dial("tcp", address)
	check(err)
	conn := tls.Client(raw, config)
	defer conn.Close()
	err = conn.Handshake()
	if told {
		tell("client", conn, err)
	}
	if err == nil {
		// With it come the tickets of TLS 1.3, and the refusal of a client that showed no certificate.
		_, err = bufio.NewReader(conn).ReadString('\n')
	}
	return err
}

func listen(cert, key string, options []string) (net.Listener, *tls.Config) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	apply(config, options)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	return listener, config
}

func loop(cert, key, ca string) {
	listener, config := listen(cert, key, nil)
	go func() {
		for {
			raw, err := listener.Accept()
			check(err)
			go func() { check(serve(tls.Server(raw, config), false)) }()
		}
	}()
	var stop atomic.Bool
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		stop.Store(true)
	}()
	client := &tls.Config{RootCAs: pool(ca), ServerName: "server.test"}
	for done := 1; !stop.Load(); done++ {
		check(connect(listener.Addr().String(), client, false))
		check(os.WriteFile("count.new", []byte(strconv.Itoa(done)), 0o600))
		check(os.Rename("count.new", "count"))
	}
}

func main() {
	args := os.Args[1:]
	if len(args) < 3 {
		check(fmt.Errorf("too few arguments"))
	}
	switch args[0] {
	case "server":
		listener, config := listen(args[1], args[2], args[3:])
		fmt.Println("ACCEPT", listener.Addr())
		for {
			raw, err := listener.Accept()
			check(err)
			go func() { _ = serve(tls.Server(raw, config), true) }()
		}
	case "client":
		config := &tls.Config{RootCAs: pool(args[2]), ServerName: args[3]}
		twice := apply(config, args[4:])
		if twice {
			config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			check(connect(args[1], config, true))
		}
		check(connect(args[1], config, true))
	case "crowd":
		crowd(args[1], args[2], args[3:])
	case "wait":
		bufio.NewReader(os.Stdin).ReadString('\n')
	case "loop":
		loop(args[1], args[2], args[3])
	}
}
