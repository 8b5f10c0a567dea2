/* Bytes from a socket as frames, and each message read as what any of the processes could take it for. */
#include "jobs/frame.h"
#include "jobs/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_nodes(json_t *nodes)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        struct node_message node;
        /* the array was accepted, so each of its elements must be */
        if (!node_message_read(json_array_get(nodes, i), &node) || !node.config_id)
            abort();
    }
}

static void read_message(struct span body)
{
    struct request request = {0};
    struct answer answer = {0};
    struct worker_answer worker = {0};
    own(text_done) struct text line = {0};
    struct fault fault = {0};

    if (request_read(body, &request, &fault)) {
        if (request.op == REQUEST_START &&
            (!request.job || strchr(request.job, '/') || !request.root || request.attempt < 1))
            abort();
        read_nodes(request.inputs);
        read_nodes(request.outputs);
        request_done(&request);
    } else if (fault.kind == FAULT_NONE)
        abort(); /* a refusal without a reason */
    if (answer_read(body, &answer, NULL)) {
        if (answer.error)
            message_one_line(&line, answer.error);
        if (line.len > 0 && strpbrk(line.data, "\n\r\t"))
            abort();
        answer_done(&answer);
    }
    if (worker_answer_read(body, &worker, NULL))
        worker_answer_done(&worker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size};
    struct frame frame;
    size_t used;

    while (frame_read(rest, &frame, &used) == FRAME_WHOLE) {
        if (used > rest.len || frame.body.data < rest.data || frame.body.data + frame.body.len > rest.data + used)
            abort();
        if (frame.type == FRAME_MESSAGE)
            read_message(frame.body);
        rest = (struct span){rest.data + used, rest.len - used};
    }
    read_message((struct span){(const char *)data, size}); /* so that JSON alone makes progress, too */
    return 0;
}
