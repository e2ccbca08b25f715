// Counts events with golang.org/x/telemetry: count N, or kill.
package main

import (
	"encoding/json"
	"log"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/telemetry/counter"
)

const name = "benchmark/event"

func main() {
	switch os.Args[1] {
	case "count":
		number, err := strconv.Atoi(os.Args[2])
		check(err)
		count(number)
	case "kill":
		counter.Open()
		counter.Inc(name)
		check(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	}
}

// count prints the times of all calls but the first, in nanoseconds.
func count(number int) {
	counter.Open()
	event := counter.New(name)
	event.Inc()
	times := make([]int64, number-1)
	for i := range times {
		start := time.Now()
		event.Inc()
		times[i] = time.Since(start).Nanoseconds()
	}
	slices.Sort(times)
	at := func(share float64) int64 { return times[int(share*float64(len(times)-1))] }
	print(map[string]int64{"p50_ns": at(0.5), "p99_ns": at(0.99), "p999_ns": at(0.999), "max_ns": at(1)})
}

func print(value any) {
	check(json.NewEncoder(os.Stdout).Encode(value))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
