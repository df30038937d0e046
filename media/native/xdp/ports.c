#define _GNU_SOURCE
#include "ports.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OURS "sbc_relay"

bool fail(struct problem *problem, int error, const char *format, ...) {
    va_list values;
    problem->error = error;
    va_start(values, format);
    vsnprintf(problem->text, sizeof problem->text, format, values);
    va_end(values);
    return false;
}

static bool ask_driver(const char *interface, void *question) {
    struct ifreq request = {.ifr_data = question};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    int asking = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool answered = asking >= 0 && ioctl(asking, SIOCETHTOOL, &request) == 0;
    if (asking >= 0)
        close(asking);
    return answered;
}

static int queues_of(const char *interface) {
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    if (!ask_driver(interface, &channels))
        return 1;
    uint32_t queues = channels.rx_count + channels.combined_count;
    return queues < 1 ? 1 : queues > MAX_QUEUES ? MAX_QUEUES : (int)queues;
}

static bool is_pair(const char *interface) {
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    return ask_driver(interface, &driver) && strcmp(driver.driver, "veth") == 0;
}

static void name_of(__u32 program, char name[BPF_OBJ_NAME_LEN]) {
    struct bpf_prog_info information = {0};
    __u32 size = sizeof information;
    int descriptor = bpf_prog_get_fd_by_id(program);
    name[0] = '\0';
    if (descriptor < 0)
        return;
    if (bpf_obj_get_info_by_fd(descriptor, &information, &size) == 0)
        memcpy(name, information.name, BPF_OBJ_NAME_LEN);
    close(descriptor);
}

/* Whether no program is there, and if one is, which. */
static bool is_free(int index, struct problem *problem, const char *interface) {
    LIBBPF_OPTS(bpf_xdp_query_opts, found);
    char name[BPF_OBJ_NAME_LEN];
    if (bpf_xdp_query(index, 0, &found) != 0 || found.attach_mode == XDP_ATTACHED_NONE)
        return true;
    name_of(found.prog_id ? found.prog_id : found.drv_prog_id ? found.drv_prog_id : found.skb_prog_id, name);
    if (!name[0]) /* CAP_SYS_ADMIN is needed to hear it */
        return fail(problem, EBUSY, "%s has an XDP program, perhaps that of an SBC that runs: root is told its name", interface);
    return fail(problem, EBUSY, strcmp(name, OURS) == 0 ? "%s has the XDP program '%s' of an SBC that runs" : "%s has the XDP program '%s' of somebody else",
                interface, name);
}

bool port_probe(const struct device *device, bool native_pairs, struct attachment *attachment, struct problem *problem) {
    memset(attachment, 0, sizeof *attachment);
    if (!if_indextoname((unsigned)device->physical, attachment->interface))
        return fail(problem, errno, "the interface is gone");
    if (device->loopback)
        return fail(problem, EOPNOTSUPP, "%s is the loopback", attachment->interface);
    attachment->queues = queues_of(attachment->interface);
    attachment->native = native_pairs || !is_pair(attachment->interface);
    return is_free(device->physical, problem, attachment->interface);
}

static int link_program(int program, int index, __u32 mode) {
    LIBBPF_OPTS(bpf_link_create_opts, how, .flags = mode);
    int link = bpf_link_create(program, index, BPF_XDP, &how);
    return link >= 0 ? link : -errno;
}

bool port_open(struct port *port, const struct device *device, bool native_pairs, int program, struct problem *problem) {
    if (!port_probe(device, native_pairs, &port->attachment, problem))
        return false;
    port->index = device->physical;
    port->link = port->attachment.native ? link_program(program, port->index, XDP_FLAGS_DRV_MODE) : -EOPNOTSUPP;
    if (port->link < 0 && port->link != -EPERM && port->link != -EBUSY && port->link != -EEXIST) {
        port->attachment.native = false;
        port->link = link_program(program, port->index, XDP_FLAGS_SKB_MODE);
    }
    if (port->link < 0)
        return fail(problem, -port->link, "%s takes no XDP program: %s", port->attachment.interface, strerror(-port->link));
    return true;
}

void port_open_rings(struct port *port) {
    struct attachment *attachment = &port->attachment;
    while (port->ring_count < attachment->queues) {
        struct ring *ring = ring_open(attachment->interface, port->ring_count, attachment->queues);
        if (!ring) {
            fail(&attachment->rings, errno, "%s has no AF_XDP for queue %d: %s%s", attachment->interface, port->ring_count, strerror(errno),
                 errno == ENOBUFS ? " (CAP_IPC_LOCK, or LimitMEMLOCK=infinity, helps)" : "");
            while (port->ring_count)
                ring_close(port->rings[--port->ring_count]);
            return;
        }
        port->rings[port->ring_count++] = ring;
    }
}

void port_close(struct port *port) {
    close(port->link);
    while (port->ring_count)
        ring_close(port->rings[--port->ring_count]);
}
