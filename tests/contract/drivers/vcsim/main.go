// A vCenter for tests: govmomi's simulator over TLS on the loopback address, with as many VMs as are asked for.
// It prints its address and lives until its standard input ends, so that it never outlives who started it.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

func main() {
	certificate := flag.String("certificate", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	user := flag.String("user", "", "name of the one account")
	password := flag.String("password", "", "its password")
	machines := flag.Int("machines", 0, "VMs of others")
	datacenters := flag.Int("datacenters", 1, "each with its own folders and datastores")
	clusters := flag.Int("clusters", 1, "of each datacenter, of three hosts")
	api := flag.String("api", "6.5", "version of the API")
	flag.Parse()

	model := simulator.VPX()
	model.ServiceContent.About.ApiVersion = *api
	model.Host, model.ClusterHost, model.Datastore = 0, 3, 2
	model.Datacenter, model.Cluster = *datacenters, *clusters
	model.Machine, model.Autostart = *machines, false
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	log.SetOutput(io.Discard)
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(*user, *password)}
	model.Service.RegisterEndpoints = true // of the tagging service
	server := model.Service.NewServer()
	fmt.Println(server.URL.Host)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
