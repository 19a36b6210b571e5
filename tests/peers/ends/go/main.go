// An end of golang.org/x/crypto/ssh: go-end client|server PORT KEY
package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func software(line []byte) string {
	return strings.SplitN(strings.SplitN(string(line), "-", 3)[2], " ", 2)[0]
}

func main() {
	side, address := os.Args[1], "127.0.0.1:"+os.Args[2]
	text, err := os.ReadFile(os.Args[3])
	check(err)
	key, err := ssh.ParsePrivateKey(text)
	check(err)
	if side == "client" {
		print := func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if certificate, is := key.(*ssh.Certificate); is {
				fmt.Printf("SAID {\"host_key.certificate.key_id\": %q, \"host_key.certificate.serial\": %d}\n", certificate.KeyId, certificate.Serial)
				key = certificate.Key
			}
			fmt.Printf("SAID {\"host_key.fingerprint\": %q}\n", ssh.FingerprintSHA256(key))
			return nil
		}
		client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
			User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: print})
		check(err)
		fmt.Printf("SAID {\"client_software\": %q, \"server_software\": %q}\n", software(client.ClientVersion()), software(client.ServerVersion()))
		check(client.Close())
		return
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	config.AddHostKey(key)
	listener, err := net.Listen("tcp", address)
	check(err)
	fmt.Println("READY")
	for {
		connection, err := listener.Accept()
		check(err)
		go func() {
			server, channels, requests, err := ssh.NewServerConn(connection, config)
			if err != nil {
				return
			}
			fmt.Printf("SAID {\"client_software\": %q, \"server_software\": %q}\n", software(server.ClientVersion()), software(server.ServerVersion()))
			go ssh.DiscardRequests(requests)
			for channel := range channels {
				_ = channel.Reject(ssh.Prohibited, "nothing here")
			}
		}()
	}
}
