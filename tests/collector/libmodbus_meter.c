/* A meter on libmodbus, for tests: libmodbus_meter tcp PORT | rtu DEVICE
 *
 * Holding registers 0..199: register n shows 100 + n. Input registers: 40000 + n.
 * Unit 1. Prints "ready" once it can be asked. Ends when it is told to (SIGTERM).
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGISTERS 200

static void serve(modbus_t *line, modbus_mapping_t *map)
{
    uint8_t asked[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int size = modbus_receive(line, asked);
        if (size > 0)
            modbus_reply(line, asked, size, map);
        else if (size < 0 && errno == ECONNRESET)
            return;
    }
}

int main(int argc, char **argv)
{
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
    modbus_t *line;
    int listener = -1;
    if (argc != 3 || map == NULL)
        return 2;
    for (int n = 0; n < REGISTERS; n++) {
        map->tab_registers[n] = 100 + n;
        map->tab_input_registers[n] = 40000 + n;
    }
    if (strcmp(argv[1], "tcp") == 0) {
        line = modbus_new_tcp("127.0.0.1", atoi(argv[2]));
        listener = modbus_tcp_listen(line, 1);
        if (listener < 0)
            return 1;
    } else {
        line = modbus_new_rtu(argv[2], 9600, 'N', 8, 1);
        modbus_set_slave(line, 1);
        if (modbus_connect(line) < 0)
            return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (listener >= 0 && modbus_tcp_accept(line, &listener) < 0)
            return 1;
        serve(line, map);
        if (listener >= 0)
            modbus_close(line);
    }
}
