module benchmark

go 1.26.0

require golang.org/x/telemetry v0.0.0-20261111153349-cdaf7e97dd7b

require golang.org/x/sys v0.50.0 // indirect
