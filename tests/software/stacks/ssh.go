// A first hello of golang.org/x/crypto/ssh with its defaults: ssh PORT
package main

import (
	"os"
	"time"

	"golang.org/x/crypto/ssh"
)

func main() {
	config := &ssh.ClientConfig{User: "nobody", HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 3 * time.Second}
	_, _ = ssh.Dial("tcp", "127.0.0.1:"+os.Args[1], config)
}
