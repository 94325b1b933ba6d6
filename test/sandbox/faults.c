#include "faults.h"
bool faults_set(json_object *rules, Buf *error) { buf_str(error, "no faults yet"); return false; }
void faults_clear(void) {}
FaultAction *fault_match(const Request *request) { return 0; }
void fault_release(FaultAction *action) {}
void fault_change_answer(Request *request) {}
enum MHD_Result fault_deliver(Request *request) { return MHD_NO; }
enum MHD_Result fault_abort(Request *request, bool reset) { return MHD_NO; }
