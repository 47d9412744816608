local function work(n)
  local by_int = {}
  for i = 0, n - 1 do by_int[i * 7] = i end
  local by_name = {}
  for i = 0, n - 1 do by_name["key" .. i] = i end
  local total = 0
  for i = 0, n - 1 do total = total + by_int[i * 7] end
  for i = 0, n - 1 do total = total + by_name["key" .. i] end
  for k, v in pairs(by_name) do total = total + v end
  return total
end
print(work(300000))
