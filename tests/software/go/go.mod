module crypto-trace-peer

go 1.25
