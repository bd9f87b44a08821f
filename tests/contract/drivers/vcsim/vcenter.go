// What govmomi 0.24's simulator leaves out of vCenter and the driver relies on: pages of the property collector, what a
// clone takes from its source, a way back that goes back, and the refusal to change what a running VM cannot change.
//
// Written after the vSphere API's documentation, and not held against a vCenter. The places of the simulator that call
// this are in vsphere_simulator.py.

package simulator

import (
	"fmt"
	"os"
	"path"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var (
	pages     = map[string][]types.ObjectContent{}
	pageSizes = map[string]int{}
	pageMutex sync.Mutex
)

func page(ctx *Context, objects []types.ObjectContent, size int) *types.RetrieveResult {
	if len(objects) == 0 {
		return nil
	}
	if size <= 0 || len(objects) <= size {
		return &types.RetrieveResult{Objects: objects}
	}
	token := fmt.Sprintf("%s/%s", ctx.Session.Key, uuid.New())
	pageMutex.Lock()
	defer pageMutex.Unlock()
	pages[token], pageSizes[token] = objects[size:], size
	return &types.RetrieveResult{Objects: objects[:size], Token: token}
}

// RetrievePropertiesEx answers in pages of the size that is asked for.
func (pc *PropertyCollector) RetrievePropertiesEx(ctx *Context, r *types.RetrievePropertiesEx) soap.HasFault {
	modern := withoutModern(r)
	body := pc.retrieveAll(ctx, r).(*methods.RetrievePropertiesExBody)
	if body.Fault_ == nil && modern {
		addModern(body.Res.Returnval.Objects)
	}
	if body.Fault_ == nil && ctx.Session != nil {
		body.Res.Returnval = page(ctx, body.Res.Returnval.Objects, int(r.Options.MaxObjects))
	}
	return body
}

// ContinueRetrievePropertiesEx answers the next page; a token is of one session.
func (pc *PropertyCollector) ContinueRetrievePropertiesEx(
	ctx *Context, r *types.ContinueRetrievePropertiesEx,
) soap.HasFault {
	body := &methods.ContinueRetrievePropertiesExBody{}
	pageMutex.Lock()
	objects, ok := pages[r.Token]
	size := pageSizes[r.Token]
	delete(pages, r.Token)
	delete(pageSizes, r.Token)
	pageMutex.Unlock()
	if !ok || len(r.Token) < len(ctx.Session.Key) || r.Token[:len(ctx.Session.Key)] != ctx.Session.Key {
		body.Fault_ = Fault("", &types.InvalidProperty{Name: "token"})
		return body
	}
	body.Res = &types.ContinueRetrievePropertiesExResponse{Returnval: *page(ctx, objects, size)}
	return body
}

// What vSphere 7.0.2 has and the simulator's own configuration lacks. To an older vCenter it is an unknown property.
const encryption = "config.ftEncryptionMode"

// withoutModern takes that property out of a question, and tells whether it was in it.
func withoutModern(r *types.RetrievePropertiesEx) bool {
	about := Map.content().About.ApiVersion
	found := false
	for _, spec := range r.SpecSet {
		for i := range spec.PropSet {
			var kept []string
			for _, path := range spec.PropSet[i].PathSet {
				if path == encryption && (about >= "7.0.2" || about[0] == '1') {
					found = true
				} else {
					kept = append(kept, path)
				}
			}
			spec.PropSet[i].PathSet = kept
		}
	}
	return found
}

// addModern answers with the option `vcsim.ft` of each VM.
func addModern(objects []types.ObjectContent) {
	for i := range objects {
		vm, ok := Map.Get(objects[i].Obj).(*VirtualMachine)
		if !ok {
			continue
		}
		for _, option := range vm.Config.ExtraConfig {
			if val := option.GetOptionValue(); val.Key == "vcsim.ft" {
				objects[i].PropSet = append(objects[i].PropSet, types.DynamicProperty{Name: encryption, Val: val.Value})
			}
		}
	}
}

func shallow(x interface{}) reflect.Value {
	made := reflect.New(reflect.TypeOf(x).Elem())
	made.Elem().Set(reflect.ValueOf(x).Elem())
	return made
}

// copyDevice is a device of its own for a clone or a snapshot: the simulator lets two VMs share one.
func copyDevice(device types.BaseVirtualDevice) types.BaseVirtualDevice {
	made := shallow(device).Interface().(types.BaseVirtualDevice)
	d := made.GetVirtualDevice()
	if d.Backing != nil {
		d.Backing = shallow(d.Backing).Interface().(types.BaseVirtualDeviceBackingInfo)
	}
	if d.DeviceInfo != nil {
		d.DeviceInfo = shallow(d.DeviceInfo).Interface().(types.BaseDescription)
	}
	if d.Connectable != nil {
		c := *d.Connectable
		d.Connectable = &c
	}
	return made
}

func copyConfig(config types.VirtualMachineConfigInfo) types.VirtualMachineConfigInfo {
	devices := config.Hardware.Device
	config.Hardware.Device = nil
	for _, device := range devices {
		config.Hardware.Device = append(config.Hardware.Device, copyDevice(device))
	}
	config.ExtraConfig = append([]types.BaseOptionValue(nil), config.ExtraConfig...)
	return config
}

// cloned is a device for a clone: a MAC address that vCenter chose is not taken along.
func cloned(device types.BaseVirtualDevice) types.BaseVirtualDevice {
	made := copyDevice(device)
	if nic, ok := made.(types.BaseVirtualEthernetCard); ok {
		card := nic.GetVirtualEthernetCard()
		if card.AddressType != string(types.VirtualEthernetCardMacTypeManual) {
			card.MacAddress = ""
		}
	}
	return made
}

// cloneSpec is what a clone has: what its source has, and what it was asked to have instead. Notes, extra
// configuration and firmware are copied; identities are not.
func cloneSpec(vm *VirtualMachine, wanted *types.VirtualMachineConfigSpec, made *types.VirtualMachineConfigSpec) {
	made.Annotation = vm.Config.Annotation
	made.Firmware = vm.Config.Firmware
	made.BootOptions = vm.Config.BootOptions
	made.ExtraConfig = append([]types.BaseOptionValue(nil), vm.Config.ExtraConfig...)
	if wanted == nil {
		return
	}
	made.ExtraConfig = append(made.ExtraConfig, wanted.ExtraConfig...)
	if wanted.Annotation != "" {
		made.Annotation = wanted.Annotation
	}
	made.InstanceUuid, made.Uuid = wanted.InstanceUuid, wanted.Uuid
	if wanted.NumCPUs != 0 {
		made.NumCPUs = wanted.NumCPUs
	}
	if wanted.NumCoresPerSocket != 0 {
		made.NumCoresPerSocket = wanted.NumCoresPerSocket
	}
	if wanted.MemoryMB != 0 {
		made.MemoryMB = wanted.MemoryMB
	}
}

func cloneHost(vm *VirtualMachine, req *types.CloneVM_Task) *types.ManagedObjectReference {
	if req.Spec.Location.Host != nil || req.Spec.Location.Pool == nil {
		return req.Spec.Location.Host
	}
	return inCluster(vm, *req.Spec.Location.Pool)
}

func clusterOf(pool types.ManagedObjectReference) *ClusterComputeResource {
	cluster, _ := Map.getEntityComputeResource(Map.Get(pool).(mo.Entity)).(*ClusterComputeResource)
	return cluster
}

// inCluster is the host that DRS chooses: the one that the VM is on, or the first of another cluster.
func inCluster(vm *VirtualMachine, pool types.ManagedObjectReference) *types.ManagedObjectReference {
	cluster := clusterOf(pool)
	if cluster == nil {
		return vm.Runtime.Host
	}
	for i := range cluster.Host {
		if cluster.Host[i] == *vm.Runtime.Host {
			return vm.Runtime.Host
		}
	}
	return &cluster.Host[0]
}

// hostless is the fault for a VM that nobody finds a host for: none is named, and DRS is off.
func hostless(pool *types.ManagedObjectReference, host *types.ManagedObjectReference) types.BaseMethodFault {
	if host != nil || pool == nil {
		return nil
	}
	cluster := clusterOf(*pool)
	if cluster == nil || isTrue(cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DrsConfig.Enabled) {
		return nil
	}
	return &types.InvalidArgument{InvalidProperty: "host"}
}

// relocate moves disks to other datastores, names the host of a VM that moves to another pool, and enters it where it is
// listed now: else the simulator shows it there when it is long gone.
func relocate(vm *VirtualMachine, spec *types.VirtualMachineRelocateSpec) types.BaseMethodFault {
	for _, locator := range spec.Disk {
		for _, device := range vm.Config.Hardware.Device {
			if disk, ok := device.(*types.VirtualDisk); ok && disk.Key == locator.DiskId {
				if err := moveDisk(disk, locator.Datastore); err != nil {
					return &types.CannotAccessFile{FileFault: types.FileFault{File: err.Error()}}
				}
			}
		}
	}
	if spec.Pool != nil && spec.Host == nil {
		if fault := hostless(spec.Pool, nil); fault != nil {
			return fault
		}
		spec.Host = inCluster(vm, *spec.Pool)
	}
	if spec.Host != nil {
		from, to := Map.Get(*vm.Runtime.Host).(*HostSystem), Map.Get(*spec.Host).(*HostSystem)
		Map.RemoveReference(from, &from.Vm, vm.Self)
		Map.AddReference(to, &to.Vm, vm.Self)
	}
	if spec.Pool != nil {
		from, to := Map.Get(*vm.ResourcePool).(*ResourcePool), Map.Get(*spec.Pool).(*ResourcePool)
		Map.RemoveReference(from, &from.Vm, vm.Self)
		Map.AddReference(to, &to.Vm, vm.Self)
	}
	return nil
}

// MoveIntoResourcePool takes VMs of its cluster in; each stays on its host.
func (p *ResourcePool) MoveIntoResourcePool(req *types.MoveIntoResourcePool) soap.HasFault {
	for _, ref := range req.List {
		vm, ok := Map.Get(ref).(*VirtualMachine)
		if !ok || clusterOf(*vm.ResourcePool) != clusterOf(p.Self) {
			return &methods.MoveIntoResourcePoolBody{Fault_: Fault("", &types.InvalidArgument{InvalidProperty: "list"})}
		}
		if from, ok := Map.Get(*vm.ResourcePool).(*ResourcePool); ok {
			Map.RemoveReference(from, &from.Vm, vm.Self)
		}
		p.Vm = append(p.Vm, vm.Self) // the call holds the pool's lock already
		Map.Update(vm, []types.PropertyChange{{Name: "resourcePool", Val: &p.Self}})
	}
	return &methods.MoveIntoResourcePoolBody{Res: &types.MoveIntoResourcePoolResponse{}}
}

// MoveIntoResourcePool takes VMs into a vApp.
func (a *VirtualApp) MoveIntoResourcePool(req *types.MoveIntoResourcePool) soap.HasFault {
	return (&ResourcePool{ResourcePool: a.ResourcePool}).MoveIntoResourcePool(req)
}

// setExtraConfig writes one option: a key is there once, and an empty value takes it away. What the simulator's own
// `SET.` cannot set, as it is no text, is set by options of ours.
func (vm *VirtualMachine) setExtraConfig(option types.BaseOptionValue) {
	val := option.GetOptionValue()
	switch val.Key {
	case "vcsim.consolidation":
		vm.Runtime.ConsolidationNeeded = types.NewBool(val.Value == "true")
	case "vcsim.net":
		vm.Guest.Net = guestNet(val.Value.(string))
	}
	var kept []types.BaseOptionValue
	for _, other := range vm.Config.ExtraConfig {
		if other.GetOptionValue().Key != val.Key {
			kept = append(kept, other)
		}
	}
	if text, ok := val.Value.(string); !ok || text != "" {
		kept = append(kept, option)
	}
	vm.Config.ExtraConfig = kept
}

// guestNet is what a guest tells of its network: `4000=10.0.0.7,fd00::7 -1=172.17.0.1`, by the key of the NIC.
func guestNet(told string) []types.GuestNicInfo {
	var net []types.GuestNicInfo
	for _, field := range strings.Fields(told) {
		parts := strings.SplitN(field, "=", 2)
		key, _ := strconv.Atoi(parts[0])
		net = append(net, types.GuestNicInfo{
			Connected: true, DeviceConfigId: int32(key), IpAddress: strings.Split(parts[1], ","),
		})
	}
	return net
}

// revert brings configuration and power back; a snapshot without memory leaves the VM off.
func (vm *VirtualMachine) revert(snapshot *VirtualMachineSnapshot) {
	config := copyConfig(snapshot.Config)
	vm.Config = &config
	state := types.VirtualMachinePowerStatePoweredOff
	if item := findSnapshotInTree(vm.Snapshot.RootSnapshotList, snapshot.Self); item != nil && memories[snapshot.Self] {
		state = item.State
	}
	Map.Update(vm, []types.PropertyChange{
		{Name: "runtime.powerState", Val: state},
		{Name: "summary.runtime.powerState", Val: state},
	})
}

var memories = map[types.ManagedObjectReference]bool{}

func moveDisk(disk *types.VirtualDisk, to types.ManagedObjectReference) error {
	backing := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	target := Map.Get(to).(*Datastore)
	var at object.DatastorePath
	at.FromString(backing.FileName)
	if at.Datastore == target.Name {
		return nil
	}
	for _, other := range Map.All("Datastore") {
		if from := other.(*Datastore); from.Name == at.Datastore {
			for _, name := range []string{at.Path, strings.Replace(at.Path, ".vmdk", "-flat.vmdk", 1)} {
				source := path.Join(from.Info.GetDatastoreInfo().Url, name)
				file := path.Join(target.Info.GetDatastoreInfo().Url, name)
				if _, err := os.Stat(source); err != nil {
					continue
				}
				if err := os.MkdirAll(path.Dir(file), 0700); err != nil {
					return err
				}
				if err := os.Rename(source, file); err != nil {
					return err
				}
			}
		}
	}
	at.Datastore = target.Name
	backing.FileName, backing.Datastore = at.String(), &to
	return nil
}

// refuse is the fault for what a running VM cannot change, for a disk that would shrink, and for a change that was made
// from a configuration that is no more.
func (vm *VirtualMachine) refuse(spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	if spec.ChangeVersion != "" && spec.ChangeVersion != vm.Config.ChangeVersion {
		return new(types.ConcurrentAccess)
	}
	on := vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff
	hardware := vm.Config.Hardware
	if on && spec.NumCPUs != 0 && spec.NumCPUs != hardware.NumCPU {
		if !isTrue(vm.Config.CpuHotAddEnabled) || spec.NumCPUs < hardware.NumCPU {
			return new(types.CpuHotPlugNotSupported)
		}
	}
	if on && spec.NumCoresPerSocket != 0 && spec.NumCoresPerSocket != hardware.NumCoresPerSocket {
		return new(types.CpuHotPlugNotSupported)
	}
	if on && spec.MemoryMB != 0 && spec.MemoryMB != int64(hardware.MemoryMB) {
		if !isTrue(vm.Config.MemoryHotAddEnabled) || spec.MemoryMB < int64(hardware.MemoryMB) {
			return new(types.MemoryHotPlugNotSupported)
		}
	}
	for i, change := range spec.DeviceChange {
		asked := change.GetVirtualDeviceConfigSpec()
		disk, ok := asked.Device.(*types.VirtualDisk)
		if !ok || asked.Operation != types.VirtualDeviceConfigSpecOperationEdit {
			continue
		}
		for _, device := range hardware.Device {
			if there, ok := device.(*types.VirtualDisk); ok && there.Key == disk.Key &&
				getDiskSize(disk) < getDiskSize(there) {
				return &types.InvalidDeviceOperation{InvalidDeviceSpec: types.InvalidDeviceSpec{DeviceIndex: int32(i)}}
			}
		}
	}
	return nil
}

// updateSwitches turns DRS and HA of a cluster on and off.
func (c *ClusterComputeResource) updateSwitches(cfg *types.ClusterConfigInfoEx, spec *types.ClusterConfigSpecEx) types.BaseMethodFault {
	if spec.DrsConfig != nil && spec.DrsConfig.Enabled != nil {
		cfg.DrsConfig.Enabled = spec.DrsConfig.Enabled
	}
	if spec.DasConfig != nil && spec.DasConfig.Enabled != nil {
		cfg.DasConfig.Enabled = spec.DasConfig.Enabled
	}
	return nil
}

// twin is whether a folder has a child of that name already.
func twin(folder *mo.Folder, name string) types.BaseMethodFault {
	for _, ref := range folder.ChildEntity {
		if entity, ok := Map.Get(ref).(mo.Entity); ok && entity.Entity().Name == name {
			return &types.DuplicateName{Name: name, Object: ref}
		}
	}
	return nil
}

// HasPrivilegeOnEntities answers by the nearest permission that names the session's user, on the object or above it. A
// user that none names may do all, as everywhere in the simulator.
func (m *AuthorizationManager) HasPrivilegeOnEntities(ctx *Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	res := &types.HasPrivilegeOnEntitiesResponse{}
	for _, e := range req.Entity {
		privilege := types.EntityPrivilege{Entity: e}
		for _, id := range req.PrivId {
			privilege.PrivAvailability = append(privilege.PrivAvailability, types.PrivilegeAvailability{
				PrivId: id, IsGranted: m.granted(e, ctx.Session.UserName, id),
			})
		}
		res.Returnval = append(res.Returnval, privilege)
	}
	return &methods.HasPrivilegeOnEntitiesBody{Res: res}
}

func (m *AuthorizationManager) granted(ref types.ManagedObjectReference, user string, id string) bool {
	for at := &ref; at != nil; at = Map.Get(*at).(mo.Entity).Entity().Parent {
		for _, p := range m.permissions[*at] {
			if p.Principal != user || (*at != ref && !p.Propagate) {
				continue
			}
			for _, role := range m.RoleList {
				if role.RoleId == p.RoleId {
					for _, has := range role.Privilege {
						if has == id {
							return true
						}
					}
				}
			}
			return false
		}
	}
	return true
}

// asks is whether a VM asks a question before it starts: the text of its option `vcsim.ask`. Its task runs until then.
func (vm *VirtualMachine) asks(task *Task) bool {
	for _, option := range vm.Config.ExtraConfig {
		if val := option.GetOptionValue(); val.Key == "vcsim.ask" {
			waiting[vm.Self] = task
			Map.Update(task, []types.PropertyChange{{Name: "info.state", Val: types.TaskInfoStateRunning}})
			vm.Runtime.Question = &types.VirtualMachineQuestionInfo{
				Id: "1", Text: val.Value.(string),
				Choice: types.ChoiceOption{ChoiceInfo: []types.BaseElementDescription{
					&types.ElementDescription{Key: "0", Description: types.Description{Label: "Cancel"}},
					&types.ElementDescription{Key: "1", Description: types.Description{Label: "I Moved It"}},
				}},
			}
			return true
		}
	}
	return false
}

var waiting = map[types.ManagedObjectReference]*Task{}

// AnswerVM lets the task go on that waited for the answer.
func (vm *VirtualMachine) AnswerVM(ctx *Context, req *types.AnswerVM) soap.HasFault {
	vm.Runtime.Question = nil
	waiting[vm.Self].Run()
	return &methods.AnswerVMBody{Res: &types.AnswerVMResponse{}}
}

// grow gives each disk the file that takes what is written after a snapshot: 1 MiB for the first, 2 for the second…
func (vm *VirtualMachine) grow(id int32) {
	layout := append([]types.VirtualMachineFileLayoutExDiskLayout(nil), vm.LayoutEx.Disk...)
	for i := range layout {
		name := fmt.Sprintf("%s/%d-%06d-delta.vmdk", vm.Name, layout[i].Key, id)
		key := vm.addFileLayoutEx(object.DatastorePath{Datastore: "LocalDS_0", Path: name}, int64(id)<<20)
		unit := types.VirtualMachineFileLayoutExDiskUnit{FileKey: []int32{key}}
		layout[i].Chain = append(append([]types.VirtualMachineFileLayoutExDiskUnit(nil), layout[i].Chain...), unit)
	}
	vm.LayoutEx.Disk = layout
}
