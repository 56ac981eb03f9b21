/* A QEMU plugin that counts the instructions a guest has run, in a file that the guest can map.
 *
 * QEMU 7.2's interface, declared here because Debian packs no header of it. Additions are not
 * atomic: what is measured runs in one thread.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define ARGUMENT "count="

struct qemu_plugin_tb;
enum { ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
                                           void (*translated)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation,
                                              void *place, uint64_t value);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);

EXPORTED int qemu_plugin_version = 1;

static uint64_t *count;

static void translated(uint64_t id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, count, qemu_plugin_tb_n_insns(block));
}

EXPORTED int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], ARGUMENT, strlen(ARGUMENT)) != 0) return -1;
    int file = open(argv[0] + strlen(ARGUMENT), O_RDWR | O_CREAT, 0644);
    if (file < 0 || ftruncate(file, sizeof *count) != 0) return -1;
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (count == MAP_FAILED) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
