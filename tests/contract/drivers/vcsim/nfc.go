// Leases of vCenter with bytes behind them: what a snapshot's export hands out, and what an import takes in. The simulator
// has no ExportSnapshot, and throws away what is uploaded.
//
// A disk's content is its "-flat.vmdk" file, zeros after its end; a snapshot holds it as it was. What goes over the wire
// is a stream-optimised VMDK, written and read here after VMware's "Virtual Disk Format 5.0", with nothing of Muster in it.

package simulator

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	grain        = 64 << 10
	sector       = 512
	leaseTimeout = 4 // seconds without a word
)

// disk is one disk of a lease: `content` is what is downloaded, `target` the file that an upload is written to.
type leasedDisk struct {
	content  []byte
	target   string
	capacity int64
}

type heldLease struct {
	vm    types.ManagedObjectReference
	disks map[string]*leasedDisk
	heard time.Time
	made  bool // by an import
}

var (
	held      = map[types.ManagedObjectReference]*heldLease{}
	heldMutex sync.Mutex
	contents  = map[types.ManagedObjectReference]map[int32][]byte{} // of the disks of a snapshot, by key
)

// leased is whether a lease that still lives covers the VM.
func leased(vm types.ManagedObjectReference) bool {
	heldMutex.Lock()
	defer heldMutex.Unlock()
	for ref, lease := range held {
		if time.Since(lease.heard) > leaseTimeout*time.Second {
			delete(held, ref)
		} else if lease.vm == vm {
			return true
		}
	}
	return false
}

func (vm *VirtualMachine) flat(disk *types.VirtualDisk) string {
	var file object.DatastorePath
	file.FromString(disk.Backing.(types.BaseVirtualDeviceFileBackingInfo).GetVirtualDeviceFileBackingInfo().FileName)
	name := path.Join(vm.findDatastore(file.Datastore).Info.GetDatastoreInfo().Url, file.Path)
	return strings.Replace(name, ".vmdk", "-flat.vmdk", 1)
}

// freeze keeps the disks of a VM as they are now, for its snapshot.
func (vm *VirtualMachine) freeze(snapshot types.ManagedObjectReference) {
	kept := map[int32][]byte{}
	for _, device := range vm.Config.Hardware.Device {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		if flat, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok &&
			strings.HasPrefix(flat.DiskMode, "independent") {
			continue
		}
		kept[disk.Key], _ = os.ReadFile(vm.flat(disk))
	}
	heldMutex.Lock()
	defer heldMutex.Unlock()
	contents[snapshot] = kept
}

// place is how a lease names a device: the class of its controller, its bus and its unit.
func place(devices object.VirtualDeviceList, disk *types.VirtualDisk) string {
	controller := devices.FindByKey(disk.ControllerKey)
	if controller == nil {
		return fmt.Sprintf("%d", disk.Key)
	}
	bus := controller.(types.BaseVirtualController).GetVirtualController().BusNumber
	return fmt.Sprintf("%s%d:%d", reflect.TypeOf(controller).Elem().Name(), bus, *disk.UnitNumber)
}

func hold(ctx *Context, lease *HttpNfcLease, vm *VirtualMachine, made bool,
	prepare func(*types.VirtualDisk) *leasedDisk) {
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	disks := map[string]*leasedDisk{}
	lease.Info.Lease, lease.Info.LeaseTimeout, lease.Info.DeviceUrl = lease.Self, leaseTimeout, nil
	for _, device := range devices {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		its := prepare(disk)
		if its == nil {
			continue
		}
		name := fmt.Sprintf("disk-%d.vmdk", len(disks))
		disks[name] = its
		where := types.HttpNfcLeaseDeviceUrl{
			Key:      fmt.Sprintf("/%s/%s", vm.Self.Value, place(devices, disk)),
			Url:      "https://*" + nfcPrefix + path.Join(lease.Self.Value, name),
			Disk:     types.NewBool(true),
			TargetId: name,
		}
		if made {
			where.ImportKey = fmt.Sprintf("/%s/%s", vm.Name, place(devices, disk))
		}
		lease.Info.TotalDiskCapacityInKB += its.capacity >> 10
		lease.Info.DeviceUrl = append(lease.Info.DeviceUrl, where)
	}
	if !made { // what is no disk, and stands beside them all the same
		lease.Info.DeviceUrl = append(lease.Info.DeviceUrl, types.HttpNfcLeaseDeviceUrl{
			Key:      fmt.Sprintf("/%s/nvram", vm.Self.Value),
			Url:      "https://*" + nfcPrefix + path.Join(lease.Self.Value, "nvram"),
			Disk:     types.NewBool(false),
			TargetId: "nvram",
		})
	}
	heldMutex.Lock()
	defer heldMutex.Unlock()
	held[lease.Self] = &heldLease{vm.Self, disks, time.Now(), made}
}

// RemoveSnapshotTask is refused while a lease covers the VM.
func (v *VirtualMachineSnapshot) RemoveSnapshotTask(ctx *Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	if !leased(v.Vm) {
		return v.removeUnleased(ctx, req)
	}
	task := CreateTask(v, "removeSnapshot", func(t *Task) (types.AnyType, types.BaseMethodFault) {
		return nil, &types.TaskInProgress{Task: t.Self}
	})
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: task.Run()}}
}

// ExportSnapshot hands out the disks of a snapshot.
func (v *VirtualMachineSnapshot) ExportSnapshot(ctx *Context, req *types.ExportSnapshot) soap.HasFault {
	vm := Map.Get(v.Vm).(*VirtualMachine)
	lease := NewHttpNfcLease(ctx, vm.Self)
	hold(ctx, lease, vm, false, func(disk *types.VirtualDisk) *leasedDisk {
		raw, ok := contents[v.Self][disk.Key]
		if !ok {
			return nil
		}
		size := getDiskSize(disk)
		return &leasedDisk{content: streamOptimised(raw, size), capacity: size}
	})
	return &methods.ExportSnapshotBody{Res: &types.ExportSnapshotResponse{Returnval: lease.Self}}
}

// ImportVApp makes the VM and takes its disks in.
func (p *ResourcePool) ImportVApp(ctx *Context, req *types.ImportVApp) soap.HasFault {
	if fault := hostless(&p.Self, req.Host); fault != nil {
		return &methods.ImportVAppBody{Fault_: Fault("", fault)}
	}
	body := p.importVApp(ctx, req).(*methods.ImportVAppBody)
	if body.Fault_ != nil {
		return body
	}
	found, _ := nfcLease.Load(body.Res.Returnval)
	lease := found.(*HttpNfcLease)
	vm := Map.Get(lease.Info.Entity).(*VirtualMachine)
	hold(ctx, lease, vm, true, func(disk *types.VirtualDisk) *leasedDisk {
		return &leasedDisk{target: vm.flat(disk), capacity: getDiskSize(disk)}
	})
	return body
}

func (l *HttpNfcLease) end() *heldLease {
	heldMutex.Lock()
	defer heldMutex.Unlock()
	its := held[l.Self]
	delete(held, l.Self)
	return its
}

// HttpNfcLeaseComplete ends a lease whose disks are all moved.
func (l *HttpNfcLease) HttpNfcLeaseComplete(ctx *Context, req *types.HttpNfcLeaseComplete) soap.HasFault {
	l.end()
	return l.complete(ctx, req)
}

// HttpNfcLeaseAbort ends a lease, and takes away the VM that was to be made.
func (l *HttpNfcLease) HttpNfcLeaseAbort(ctx *Context, req *types.HttpNfcLeaseAbort) soap.HasFault {
	if its := l.end(); its != nil && its.made {
		Map.Get(its.vm).(*VirtualMachine).DestroyTask(ctx, &types.Destroy_Task{This: its.vm})
	}
	return l.abort(ctx, req)
}

// HttpNfcLeaseProgress keeps a lease alive.
func (l *HttpNfcLease) HttpNfcLeaseProgress(ctx *Context, req *types.HttpNfcLeaseProgress) soap.HasFault {
	heldMutex.Lock()
	if its := held[l.Self]; its != nil {
		its.heard = time.Now()
	}
	heldMutex.Unlock()
	return l.report(ctx, req)
}

// HttpNfcLeaseGetManifest says what was downloaded.
func (l *HttpNfcLease) HttpNfcLeaseGetManifest(
	ctx *Context, req *types.HttpNfcLeaseGetManifest,
) soap.HasFault {
	heldMutex.Lock()
	defer heldMutex.Unlock()
	var entries []types.HttpNfcLeaseManifestEntry
	its := held[l.Self]
	for _, device := range l.Info.DeviceUrl {
		if its == nil {
			break
		}
		if disk := its.disks[device.TargetId]; disk != nil {
			digest := sha1.Sum(disk.content)
			entries = append(entries, types.HttpNfcLeaseManifestEntry{
				Key:      device.Key,
				Sha1:     hex.EncodeToString(digest[:]),
				Size:     int64(len(disk.content)),
				Disk:     true,
				Capacity: disk.capacity,
			})
		}
	}
	return &methods.HttpNfcLeaseGetManifestBody{Res: &types.HttpNfcLeaseGetManifestResponse{Returnval: entries}}
}

// ServeNFC moves the bytes of a disk. The ticket is in the address: nobody is asked who he is, and nobody may say so.
func ServeNFC(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	ref := types.ManagedObjectReference{Type: "HttpNfcLease", Value: parts[len(parts)-2]}
	heldMutex.Lock()
	its := held[ref]
	heldMutex.Unlock()
	if its == nil || its.disks[parts[len(parts)-1]] == nil {
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
		http.Error(w, "a ticket needs no credentials", http.StatusBadRequest)
		return
	}
	disk := its.disks[parts[len(parts)-1]]
	switch {
	case r.Method == http.MethodGet && !its.made:
		w.Header().Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
		if flusher, ok := w.(http.Flusher); ok { // in chunks, as vCenter does: it does not know the length before
			flusher.Flush()
		}
		_, _ = w.Write(disk.content)
	case r.Method == http.MethodPost && its.made && r.ContentLength > 0:
		raw, err := flattened(r.Body, disk.capacity)
		if err == nil {
			err = os.WriteFile(disk.target, raw, 0o600)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	default:
		http.Error(w, "", http.StatusMethodNotAllowed)
	}
}

type header struct {
	Magic, Version, Flags                       uint32
	Capacity, Grain, Descriptor, DescriptorSize uint64
	Entries                                     uint32
	Redundant, Directory, Overhead              uint64
	Unclean                                     uint8
	Ends                                        [4]byte
	Compression                                 uint16
	Rest                                        [433]byte
}

const (
	magic       = 0x564d444b
	atEnd       = 0xffffffffffffffff
	streamFlags = 0x30001
	entries     = 512
)

func padded(out *bytes.Buffer) uint32 {
	if rest := out.Len() % sector; rest != 0 {
		out.Write(make([]byte, sector-rest))
	}
	return uint32(out.Len() / sector)
}

func marker(out *bytes.Buffer, count uint64, kind uint32) {
	_ = binary.Write(out, binary.LittleEndian, count)
	_ = binary.Write(out, binary.LittleEndian, []uint32{0, kind})
	padded(out)
}

// streamOptimised is a disk of `size` bytes that begins with `raw`, as ESXi sends it: its tables come after the grains,
// and its header's copy with their place at the end.
func streamOptimised(raw []byte, size int64) []byte {
	head := header{Magic: magic, Version: 3, Flags: streamFlags, Capacity: uint64(size / sector), Grain: grain / sector,
		Descriptor: 1, DescriptorSize: 20, Entries: entries, Directory: atEnd, Overhead: 128,
		Ends: [4]byte{'\n', ' ', '\r', '\n'}, Compression: 1}
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, head)
	fmt.Fprintf(&out, "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"streamOptimized\""+
		"\n\n# Extent description\nRDONLY %d SPARSE \"generated-stream.vmdk\"\n\n# The Disk Data Base\n#DDB\n\n"+
		"ddb.adapterType = \"lsilogic\"\n", size/sector)
	out.Write(make([]byte, 128*sector-out.Len()))
	tables := make([]uint32, (size+grain*entries-1)/(grain*entries))
	for n := range tables {
		table, used := [entries]uint32{}, false
		for m := range table {
			at := int64(n*entries+m) * grain
			if at >= int64(len(raw)) {
				break
			}
			block := make([]byte, grain)
			copy(block, raw[at:])
			if bytes.Count(block, []byte{0}) == grain {
				continue
			}
			var packed bytes.Buffer
			writer := zlib.NewWriter(&packed)
			_, _ = writer.Write(block)
			_ = writer.Close()
			table[m], used = padded(&out), true
			_ = binary.Write(&out, binary.LittleEndian, uint64(at/sector))
			_ = binary.Write(&out, binary.LittleEndian, uint32(packed.Len()))
			out.Write(packed.Bytes())
			padded(&out)
		}
		if used {
			marker(&out, entries*4/sector, 1)
			tables[n] = padded(&out)
			_ = binary.Write(&out, binary.LittleEndian, table)
		}
	}
	marker(&out, uint64(len(tables)*4+sector-1)/sector, 2)
	head.Directory = uint64(padded(&out))
	_ = binary.Write(&out, binary.LittleEndian, tables)
	padded(&out)
	marker(&out, 1, 3)
	_ = binary.Write(&out, binary.LittleEndian, head)
	out.Write(make([]byte, sector))
	return out.Bytes()
}

// flattened reads a stream as ESXi does, from its begin to its end; each table must name the grains where they were.
func flattened(in io.Reader, capacity int64) ([]byte, error) {
	all, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	var head header
	if err := binary.Read(bytes.NewReader(all), binary.LittleEndian, &head); err != nil {
		return nil, err
	}
	if head.Magic != magic || head.Version != 3 || head.Flags&0x30000 != 0x30000 || head.Directory != atEnd ||
		int64(head.Capacity)*sector != capacity || head.Grain*sector != grain || head.Compression != 1 {
		return nil, errors.New("Not a supported disk format")
	}
	raw := make([]byte, capacity)
	grains, at, last := map[uint32]uint32{}, int(head.Overhead)*sector, int64(-1)
	tables, directory := map[uint32][]uint32{}, uint32(0)
	for {
		if at+sector > len(all) {
			return nil, errors.New("the stream ends before its end")
		}
		count := binary.LittleEndian.Uint64(all[at:])
		size := binary.LittleEndian.Uint32(all[at+8:])
		if size != 0 {
			if int64(count) <= last || (int64(count)*sector)%grain != 0 || at+12+int(size) > len(all) {
				return nil, errors.New("a grain that is not in order")
			}
			reader, err := zlib.NewReader(bytes.NewReader(all[at+12 : at+12+int(size)]))
			if err != nil {
				return nil, err
			}
			block, err := io.ReadAll(reader)
			if err != nil || len(block) != grain {
				return nil, errors.New("a grain that is not one")
			}
			copy(raw[int64(count)*sector:], block)
			last, grains[uint32(count)/128] = int64(count), uint32(at/sector)
			at += (12 + int(size) + sector - 1) / sector * sector
			continue
		}
		kind := binary.LittleEndian.Uint32(all[at+12:])
		at += sector
		content := all[at:]
		if kind == 0 {
			break
		}
		if uint64(len(content)) < count*sector {
			return nil, errors.New("a table that is cut")
		}
		switch kind {
		case 1:
			for m := 0; m < entries; m++ {
				tables[uint32(at/sector)] = append(tables[uint32(at/sector)], binary.LittleEndian.Uint32(content[m*4:]))
			}
		case 2:
			directory = uint32(at / sector)
		case 3:
			var foot header
			_ = binary.Read(bytes.NewReader(content), binary.LittleEndian, &foot)
			if foot.Directory != uint64(directory) || foot.Capacity != head.Capacity || foot.Magic != magic {
				return nil, errors.New("a footer that leads nowhere")
			}
		}
		at += int(count) * sector
	}
	if at != len(all) || directory == 0 {
		return nil, errors.New("a stream without an end")
	}
	found := 0
	for n := 0; n < int((capacity+grain*entries-1)/(grain*entries)); n++ {
		table := binary.LittleEndian.Uint32(all[int(directory)*sector+n*4:])
		for m, where := range tables[table] {
			if where != grains[uint32(n*entries+m)] {
				return nil, errors.New("a table that names another grain")
			}
			if where != 0 {
				found++
			}
		}
	}
	if found != len(grains) {
		return nil, errors.New("a grain that no table names")
	}
	return raw, nil
}
