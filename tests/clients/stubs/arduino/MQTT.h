// What the recipe for Arduino uses of arduino-mqtt 2.
#pragma once
#include "WiFiClientSecure.h"

typedef void (*MQTTClientCallbackSimple)(String &topic, String &payload);

class MQTTClient {
public:
  explicit MQTTClient(int buffer);
  void begin(const char *host, int port, Client &client);
  void setOptions(int keepAlive, bool cleanSession, int timeout);
  void onMessage(MQTTClientCallbackSimple callback);
  bool connect(const char *clientId, const char *username, const char *password);
  bool subscribe(const char *topic, int qos);
  bool publish(const char *topic, const char *payload, bool retained, int qos);
  bool loop();
};
