// A hello of Go's crypto/tls with its defaults: client PORT
package main

import (
	"crypto/tls"
	"os"
)

func main() {
	connection, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[1], &tls.Config{ServerName: "server.test", InsecureSkipVerify: true})
	if err == nil {
		connection.Close()
	}
}
