local function work(rounds)
  local total = 0
  for r = 0, rounds - 1 do
    local points = {}
    for i = 0, 999 do points[#points + 1] = {x = i, y = i + r, z = r} end
    for _, p in ipairs(points) do total = total + p.x + p.y - p.z end
    for i = 1, 1000 do points[i].x = points[i].y end
    for _, p in ipairs(points) do total = total + p.x end
  end
  return total
end
print(work(1500))
