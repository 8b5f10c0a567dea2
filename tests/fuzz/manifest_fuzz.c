/* A manifest from a runner that is hostile. Whatever is accepted must be whole: every name leads somewhere. */
#undef NDEBUG /* in a release build too */
#include <assert.h>

#include "bailiff/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_nodes(const struct manifest *m, const struct data_node_config *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert(manifest_data_node(m, nodes[i]->id) == nodes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(manifest_freep) struct manifest *m = NULL;
    struct fault fault = {0};

    if (!manifest_read((struct span){(const char *)data, size}, &m, &fault)) {
        assert(!m && fault.kind == FAULT_INVALID && fault.message[0]);
        return 0;
    }
    assert(m->root[0] == '/' && m->version[0]);
    for (size_t i = 0; i < m->data_node_count; i++) {
        const char *file = m->data_nodes[i].default_file;

        assert(!file || (file[0] && file[0] != '/' && strncmp(file, "../", 3) != 0 && !strstr(file, "/../")));
    }
    for (size_t i = 0; i < m->task_count; i++) {
        const struct task_config *t = &m->tasks[i];

        assert(manifest_task(m, t->id) == t);
        assert((t->command.count > 0) != (t->module && t->function));
        check_nodes(m, t->inputs, t->input_count);
        check_nodes(m, t->outputs, t->output_count);
    }
    for (size_t i = 0; i < m->scenario_count; i++)
        for (size_t t = 0; t < m->scenarios[i].tasks.count; t++)
            assert(manifest_task(m, m->scenarios[i].tasks.items[t]));
    return 0;
}
